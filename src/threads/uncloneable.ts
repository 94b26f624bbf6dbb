/** Extra arguments that structured clone refuses: functions, sockets, objects that hold them. */
import { isErrorNamed } from '../errors/thrown.js'
import type { Call } from './call.js'
import { refuseEmptied } from './small-clone.js'

/** Whether a message could not be posted because of what is in it. */
export function isCloneError(thrown: unknown): boolean {
  return isErrorNamed(thrown, 'DataCloneError')
}

/** Whether calls could not be posted because of an extra argument of theirs. */
export function hasUncloneable(calls: readonly Call[]): boolean {
  return splitUncloneable(calls).refused.length > 0
}

/**
 * How much deeper than alone the arguments are tried: in a message, with more on the stack than here, what is nested almost
 * too deeply must not pass here and fail there.
 */
const marginLevels = 100

function nested(extra: unknown): unknown {
  let value = extra
  for (let level = 0; level < marginLevels; level++) value = [value]
  return value
}

/** Sets apart the calls whose extra arguments can't cross to a thread; tried one by one, since the error names none. */
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
