/** Errors in a pool thread that belong to no running task. */
import { messageOf, stackOf } from '../errors/thrown.js'

/** Reports one by `process.emitWarning`. */
export function warnOfUnhandledError(taskId: string | undefined, error: unknown): void {
  const origin = taskId === undefined ? 'Code that belongs to no task' : `Task ${taskId}, after its end,`
  const detail = stackOf(error)
  process.emitWarning(`${origin} threw in a pool thread: ${messageOf(error)}`, {
    detail,
  })
}
