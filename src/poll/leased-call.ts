/** Turns leased tasks into calls. */
import { UnregisteredTaskError } from '../errors/errors.js'
import type { LeasedTask } from '../queue/queued-task.js'
import { resultRequest } from '../results/result-request.js'
import { type Payload, requestKey } from '../tasks/payload.js'
import { FunctionTask } from '../tasks/task.js'
import { type Call, type CallBody, functionBody, payloadBody } from '../threads/call.js'
import type { PackedCall } from './packed-call.js'
import type { WorkerDependencies } from './worker-dependencies.js'

/** @throws UnregisteredTaskError if this worker can't run the task; TypeError if no worker can */
export function leasedCall(task: LeasedTask, dependencies: WorkerDependencies): Call {
  const request = requestOf(task.payload(), dependencies)
  const payload = request ?? task.payload()
  const { code, input, kwargs, extra } = bodyOf(payload, task.payloadText.length, dependencies)
  return { task, code, input, kwargs, extra, idSuffix: task.id, attempt: task.attempt }
}

/** Sets what the call of a packed task runs. @throws as {@link leasedCall} */
export function prepareCall(call: PackedCall, dependencies: WorkerDependencies): void {
  const { given } = call
  // Straight from the task's fields, without a payload in between: this runs once for each of millions of tasks.
  const isFunction = given instanceof FunctionTask && given.payload === FunctionTask.prototype.payload
  if (isFunction && dependencies.commands === undefined && given.key[0] !== requestKey[0]) {
    call.prepare(functionBody(given, dependencies.settings.executeArgs))
    return
  }
  const { isMade, maxTextLength } = call.pack
  const content = isMade ? call.pack.contentOf(call.index, given) : undefined
  const payload = content?.payload ?? (given as Payload)
  const request = requestOf(payload, dependencies)
  call.wantsResult = request !== undefined
  call.prepare(bodyOf(request ?? payload, maxTextLength, dependencies))
}

function bodyOf(payload: Payload, textLength: number, { settings, commands }: WorkerDependencies): CallBody {
  if (commands === undefined) return payloadBody(payload, textLength, settings.executeArgs)
  const { code, command } = commands.callOf(payload)
  return { code, input: [{ argv: [...command.argv], cwd: command.cwd }], kwargs: undefined, extra: [] }
}

/** The payload of a task whose outcome is asked for; `undefined`: it isn't. */
function requestOf(payload: Payload, { commands, results }: WorkerDependencies): Payload | undefined {
  const request = commands === undefined ? resultRequest(payload) : undefined
  if (request === undefined) return undefined
  if (results === undefined) {
    throw new UnregisteredTaskError(
      'Expected a place for the result that the task asks for, which this queue has not: name another queue as `results` of poll',
    )
  }
  results.wantsValues = true
  return request.payload
}
