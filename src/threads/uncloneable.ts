/** Extra arguments that structured clone refuses: functions, sockets, objects that hold them. */
import { isErrorNamed } from '../errors/thrown.js'
import type { Call } from './call.js'
import { refuseEmptied } from './small-clone.js'

/** True if a message could not be posted because of its content. */
export function isCloneError(thrown: unknown): boolean {
  return isErrorNamed(thrown, 'DataCloneError')
}

/** True if calls could not be posted because of an extra argument. */
export function hasUncloneable(calls: readonly Call[]): boolean {
  return splitUncloneable(calls).refused.length > 0
}

/**
 * Extra levels that the arguments are tried with: posting a message uses more of the stack than the trial here, and what
 * passes here must not fail there.
 */
const marginLevels = 100

function nested(extra: unknown): unknown {
  let value = extra
  for (let level = 0; level < marginLevels; level++) value = [value]
  return value
}

/**
 * Separates the calls whose extra arguments can't be sent to a thread; tried one by one, since the error names none.
 */
export function splitUncloneable(calls: readonly Call[]): {
  cloneable: Call[]
  refused: { call: Call; error: Error }[]
} {
  const cloneable: Call[] = []
  const refused: { call: Call; error: Error }[] = []
  for (const call of calls) {
    try {
      refuseEmptied(call.extra)
      structuredClone(nested(call.extra))
      cloneable.push(call)
    } catch (cause) {
      const error = new TypeError(
        'Expected the extra arguments of the task to be data that can be cloned to a thread; leave out functions and ' +
          'objects that hold some, and what is nested deeper than 1,000 levels, or run with `parallel: 0`',
        { cause },
      )
      refused.push({ call, error })
    }
  }
  return { cloneable, refused }
}
