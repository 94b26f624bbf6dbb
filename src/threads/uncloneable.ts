/** Extra arguments that structured clone refuses: functions, sockets, objects that hold them. */
import { isErrorNamed } from '../thrown.js'
import type { Call } from './call.js'
import { refuseEmptied } from './small-clone.js'

/** Whether a message could not be posted because of what is in it. */
export function isCloneError(thrown: unknown): boolean {
  return isErrorNamed(thrown, 'DataCloneError')
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
      structuredClone(call.extra)
      cloneable.push(call)
    } catch (cause) {
      const error = new TypeError(
        'Expected the extra arguments of the task to be data that can be cloned to a thread; leave out functions and ' +
          'objects that hold some, or run with `parallel: 0`',
        { cause },
      )
      refused.push({ call, error })
    }
  }
  return { cloneable, refused }
}
