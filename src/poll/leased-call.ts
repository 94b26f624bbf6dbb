/** Turns a leased task into a call. */
import { UnregisteredTaskError } from '../errors/errors.js'
import { type LeasedTask, PackedTask } from '../queue/queued-task.js'
import { resultRequest } from '../results/result-request.js'
import { type Call, queuedCall } from '../threads/call.js'
import type { WorkerParts } from './worker-parts.js'

/** @throws UnregisteredTaskError if this worker can't run the task; TypeError if no worker can */
export function leasedCall(task: LeasedTask, { settings, commands, results }: WorkerParts): Call {
  if (commands !== undefined) {
    const { code, command } = commands.callOf(task.payload())
    const input = [{ argv: [...command.argv], cwd: command.cwd }]
    return { task, code, input, kwargs: undefined, extra: [], idSuffix: task.id, attempt: task.attempt }
  }
  const request = resultRequest(task.payload())
  if (request === undefined) {
    const isMade = task instanceof PackedTask && task.isMade
    return queuedCall(task, settings.executeArgs, task.attempt, isMade)
  }
  if (results === undefined) {
    throw new UnregisteredTaskError(
      'Expected a place for the result that the task asks for, which this queue has not: name another queue as `results` of poll',
    )
  }
  results.wantsValues = true
  const { id, payloadText } = task
  const inner = queuedCall(
    { id, payloadText, payload: () => request.payload } as LeasedTask,
    settings.executeArgs,
    task.attempt,
  )
  return { ...inner, task }
}
