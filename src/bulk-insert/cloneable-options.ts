/** Clones the options of a queue for threads. */
import type { BackendOptions } from '../backend/backend.js'
import { argumentError } from '../errors/errors.js'
import { refuseEmptied } from '../threads/small-clone.js'

/**
 * Clones the options for threads.
 *
 * @throws TypeError for one that can't be cloned (a client object, a function)
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
        'data that can be cloned to a thread, since with `parallel` each thread opens the queue itself (insert with `parallel: 0`, or leave it out)',
        value,
      )
      error.cause = cause
      throw error
    }
  }
  return copy
}
