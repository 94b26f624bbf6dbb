/** Turns tasks into payloads, and payloads into tasks. */
import { stringifyJson, toJsonValue } from '../json/json.js'
import { rebuild } from './call-code.js'
import { partial } from './partial.js'
import { type ClassPayload, isClassPayload, isFunctionPayload, type Payload } from './payload.js'
import { findClass, findFunction, unregisteredClass, unregisteredFunction } from './registry.js'
import { type BareTask, FunctionTask, isTask, notATask, type RegisteredTask } from './task.js'

/**
 * Rebuilds a task from its payload.
 * @throws TypeError if `payload` is invalid; UnregisteredTaskError if its function or class is not registered here
 */
export function taskFromPayload(payload: unknown): FunctionTask | RegisteredTask {
  if (isFunctionPayload(payload)) {
    const [[module, name], args, kwargs] = payload
    if (findFunction(module, name) === undefined) throw unregisteredFunction(module, name)
    return new FunctionTask([module, name], args, kwargs)
  }
  if (isClassPayload(payload)) {
    const { class: name, ...fields } = payload
    const code = findClass(name)
    if (code === undefined) throw unregisteredClass(name)
    return rebuild(code, fields) as RegisteredTask
  }
  throw notATask('payload', payload)
}

/**
 * The payload of any value that may be inserted. Code that only another process has is fine: it is looked up where it
 * runs.
 * @throws TypeError if `input` is no task; UnregisteredTaskError for a bare function or a class that is not registered
 */
export function toPayload(input: BareTask): Payload {
  if (isTask(input)) return input.payload()
  if (typeof input === 'function') return partial(input).payload()
  if (isFunctionPayload(input)) {
    const [[module, name], args, kwargs] = input
    return new FunctionTask([module, name], args, kwargs).payload()
  }
  if (isClassPayload(input)) return toJsonValue(input, 'payload') as ClassPayload
  throw notATask('task', input)
}

/** `stringifyJson(toPayload(input))`, for most tasks in one pass over their arguments. @throws as {@link toPayload} */
export function taskText(input: BareTask): string {
  return input instanceof FunctionTask && input.payload === FunctionTask.prototype.payload
    ? input.payloadText()
    : stringifyJson(toPayload(input))
}
