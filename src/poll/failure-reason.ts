/** The reason of a failure, as it is recorded and printed. */
import type { CallSite } from '../errors/call-site.js'
import { TaskError, UnregisteredTaskError } from '../errors/errors.js'
import { isInstanceOf, messageOf, summaryOf } from '../errors/thrown.js'
import type { LeasedTask } from '../queue/queued-task.js'
import { payloadName } from '../tasks/payload.js'
import { plainLine } from '../text/plain-line.js'

/** Longest reason, one line, in characters: a history must stay small and safe to print. */
export const reasonLength = 1000

/** The reason of a failure as one line without control characters. */
export function reasonOf(error: unknown): string {
  return plainLine(textOf(error)).slice(0, reasonLength)
}

function textOf(error: unknown): string {
  return isInstanceOf(error, UnregisteredTaskError) ? `not registered: ${messageOf(error)}` : summaryOf(error)
}

/** The error of a leased task that failed; `cause` is the task's own error. @param caller where `poll` was called */
export function taskError(task: LeasedTask, cause: unknown, caller?: CallSite): TaskError<LeasedTask> {
  const { id, attempt } = task
  const message = `Task ${payloadName(task.payload())} (${id}) failed at attempt ${attempt}: ${reasonOf(cause)}`
  return new TaskError(message, { task, id, attempt, cause, ...(caller && { caller }) })
}
