/** The options of a queue that threads open too. */
import type { BackendOptions } from '../backend/backend.js'
import { argumentError } from '../errors/errors.js'
import { refuseEmptied } from '../threads/small-clone.js'

/**
 * A copy of the options as threads get them.
 *
 * @throws TypeError for one that can't travel (a ready client, a function)
 */
export function cloneableOptions(options: BackendOptions): BackendOptions {
  const copy: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(options)) {
    try {
      refuseEmptied(value)
      copy[name] = structuredClone(value)
    } catch (cause) {
      const error = argumentError(
        name,
        'data that can be cloned to a thread, since with `parallel` each thread opens the queue anew (insert with `parallel: 0`, or leave it out)',
        value,
      )
      error.cause = cause
      throw error
    }
  }
  return copy
}
