/** Records of runs: outcomes, and how many there will be. */
import { parseJson, stringifyJson } from '../json/json.js'
import type { JsonValue } from '../json/json-value.js'

/** The longest value, as JSON. Bytes. */
export const maxValueBytes = 1 << 20

/** The outcome of a task, as it is kept. */
export interface ResultRecord {
  readonly index: number
  readonly id: string
  /** Left out where the task returned nothing. */
  readonly value?: JsonValue
  /** The reason of its final failure; absent for a success. */
  readonly reason?: string
  /** The number of its attempts. */
  readonly attempt: number
}

/** @throws TypeError where JSON can't carry the value; RangeError where it is too long */
export function successRecord(index: number, id: string, attempt: number, value: unknown): string {
  const head = { index, id, attempt }
  if (value === undefined) return stringifyJson(head)
  const text = stringifyJson(value, { name: 'the value of the task' })
  const bytes = Buffer.byteLength(text)
  if (bytes > maxValueBytes) {
    throw new RangeError(
      `Expected a task whose outcome is asked for to return at most ${maxValueBytes} bytes of JSON, got ${bytes}: ` +
        'write it into a file, and return the path',
    )
  }
  return `${JSON.stringify(head).slice(0, -1)},"value":${text}}`
}

export function failureRecord(index: number, id: string, attempt: number, reason: string): string {
  return JSON.stringify({ index, id, attempt, reason })
}

/** Records the number of tasks of the run. */
export function totalRecord(total: number): string {
  return JSON.stringify({ total })
}

/** Parses a record; `undefined` for an invalid text: a line that a crash has cut off, or a foreign one. */
export function readRecord(text: string): ResultRecord | { readonly total: number } | undefined {
  let record: JsonValue
  try {
    record = parseJson(text)
  } catch {
    return undefined
  }
  if (typeof record !== 'object' || record === null || Array.isArray(record)) return undefined
  const { total, index, id, value, reason, attempt } = record
  if (isCount(total)) return { total }
  if (!isCount(index) || typeof id !== 'string' || !isCount(attempt)) return undefined
  if (reason !== undefined) return typeof reason === 'string' ? { index, id, attempt, reason } : undefined
  return value === undefined ? { index, id, attempt } : { index, id, attempt, value }
}

function isCount(value: JsonValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
