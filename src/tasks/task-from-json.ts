/** Tasks from JSON that people write, or that `ptq ls --json` printed. */
import type { JsonValue } from '../json/json-value.js'
import { type BareTask, FunctionTask } from './task.js'

/**
 * The task of a payload, or of an object that has one as `payload`: the lines of `ls --json`, the files of a queue.
 *
 * @throws TypeError where it is neither
 */
export function taskFromJson(value: JsonValue): BareTask {
  if (Array.isArray(value)) {
    const [key, args, kwargs] = value
    // FunctionTask checks them.
    return new FunctionTask(key as never, args as never, kwargs as never)
  }
  if (typeof value === 'object' && value !== null) {
    if (typeof value.class === 'string') return { ...value, class: value.class }
    if (value.payload !== undefined && value.payload !== null) return taskFromJson(value.payload)
  }
  throw new TypeError('expected [[module, name], args, kwargs, -1] or an object with the key "class"')
}
