/** Messages that turn out to hold no task. */
import type { Backend } from '../backend/backend.js'
import { messageOf } from '../errors/thrown.js'
import { plainLine } from '../text/plain-line.js'

/** Says aloud, as a Node warning, what was done with a message that is no task. */
export function warnOfNoTask(backend: Backend, id: string, done: string, error: unknown): void {
  const reason = plainLine(messageOf(error))
  process.emitWarning(`Message ${id} of ${backend.label} is no task and was ${done}: ${reason}`, {
    type: 'PtqWarning',
    code: 'PTQ_NO_TASK',
  })
}
