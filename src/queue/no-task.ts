/** Warns of messages that hold no task. */
import type { Backend } from '../backend/backend.js'
import { messageOf } from '../errors/thrown.js'
import { plainLine } from '../text/plain-line.js'

/** Emits a Node warning about a message that is no task. @param done how it was handled */
export function warnOfNoTask(backend: Backend, id: string, done: string, error: unknown): void {
  const reason = plainLine(messageOf(error))
  process.emitWarning(`Message ${id} of ${backend.label} is no task and was ${done}: ${reason}`, {
    type: 'PtqWarning',
    code: 'PTQ_NO_TASK',
  })
}
