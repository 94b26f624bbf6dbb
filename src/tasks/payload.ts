/** The payload: the JSON form of a task, the same in every language. */
import type { JsonValue } from '../json/json-value.js'
import { plainLine } from '../text/plain-line.js'

/** The key of a function: the stem of its module's file and its own name, as in Python. */
export type FunctionKey = readonly [module: string, name: string]

/** A function's payload, as Python writes it: key, positional arguments, keyword arguments, and -1 for "no id yet". */
export type FunctionPayload = [
  key: [module: string, name: string],
  args: JsonValue[],
  kwargs: Record<string, JsonValue>,
  id: -1,
]

/** A class's payload: its fields and, last as Python writes it, its name. */
export type ClassPayload = { [field: string]: JsonValue } & { class: string }

/** The JSON form of a task. */
export type Payload = FunctionPayload | ClassPayload

/**
 * The key of payloads that ask for the outcome of another one, which is their third argument. It is registered nowhere: a worker that
 * can't keep outcomes, or Python's, leaves such a task to others.
 */
export const requestKey: FunctionKey = ['ptq.results', 'call']

/** The name that messages use for a payload: `tasks.hash`, `PrintTask`; of one that asks for an outcome, that of the task itself. */
export function payloadName(payload: Payload): string {
  const own = ownPayload(payload)
  return plainLine(Array.isArray(own) ? own[0].join('.') : own.class)
}

/** The payload without requests for an outcome around it. */
export function ownPayload(payload: Payload): Payload {
  const asked = Array.isArray(payload) && payload[0].join('/') === requestKey.join('/') ? payload[1][2] : undefined
  return isFunctionPayload(asked) || isClassPayload(asked) ? ownPayload(asked) : payload
}

/** True if a value has the shape of a function's payload; Python's list may be longer in a later version. */
export function isFunctionPayload(value: unknown): value is FunctionPayload {
  return (
    Array.isArray(value) &&
    value.length >= 3 &&
    isFunctionKey(value[0]) &&
    Array.isArray(value[1]) &&
    isRecord(value[2])
  )
}

/** True if a value has the shape of a class's payload. */
export function isClassPayload(value: unknown): value is ClassPayload {
  return isRecord(value) && Object.hasOwn(value, 'class') && typeof value.class === 'string'
}

/** True if a value can be the key of a function. */
export function isFunctionKey(value: unknown): value is FunctionKey {
  return Array.isArray(value) && value.length === 2 && value.every(part => typeof part === 'string' && part !== '')
}

/** True if a value is an object with fields, and no array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
