/** Errors that no running task can be blamed for. */
import { messageOf, stackOf } from '../errors/thrown.js'

/** Warns of one, by `process.emitWarning`. */
export function warnOfStray(taskId: string | undefined, error: unknown): void {
  const whose = taskId === undefined ? 'Code that belongs to no task' : `Task ${taskId}, after its end,`
  const detail = stackOf(error)
  process.emitWarning(`${whose} threw in a pool thread: ${messageOf(error)}`, {
    detail,
  })
}
