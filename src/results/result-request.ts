/**
 * Tasks whose outcomes are requested: a payload around the payload, so that only workers that can store them run it.
 */
import { argumentError } from '../errors/errors.js'
import type { JsonValue } from '../json/json-value.js'
import { isClassPayload, isFunctionPayload, type Payload, requestKey } from '../tasks/payload.js'
import { FunctionTask } from '../tasks/task.js'

/** A request for the outcome of a task. */
export interface ResultRequest {
  readonly run: string
  /** The place of the task among the inputs of its run, from 0. */
  readonly index: number
  readonly payload: Payload
}

/** The task that requests the outcome of another one. */
export function requestTask({ run, index, payload }: ResultRequest): FunctionTask {
  return new FunctionTask(requestKey, [run, index, payload as JsonValue])
}

/** Parses a payload; `undefined` without a request. @throws TypeError for an invalid request */
export function resultRequest(payload: Payload): ResultRequest | undefined {
  if (!Array.isArray(payload) || payload[0][0] !== requestKey[0] || payload[0][1] !== requestKey[1]) return undefined
  const [run, index, inner] = payload[1]
  const isPlace = typeof index === 'number' && Number.isSafeInteger(index) && index >= 0
  if (typeof run !== 'string' || !isRunName(run) || !isPlace || !(isFunctionPayload(inner) || isClassPayload(inner))) {
    throw new TypeError('Expected a request for a result, [run, index, payload of a task]')
  }
  return { run, index, payload: inner }
}

const runName = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/

function isRunName(name: string): boolean {
  return runName.test(name)
}

/** @throws TypeError where it can't be the name of a run */
export function checkRunName(name: unknown): string {
  if (typeof name === 'string' && isRunName(name)) return name
  throw argumentError('run', 'a name of at most 100 letters, digits, `.`, `-` and `_`, the first no `.`', name)
}
