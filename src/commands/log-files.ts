/**
 * The log of a worker's commands: what each of them wrote, in two files a worker.
 *
 * ```text
 * <folder>/<worker>.log      the output of all of its commands, in the order in which it came
 * <folder>/<worker>.index    a line of JSON a record: which part of the log is whose
 * ```
 *
 * A record is written after its output. The last line of an index may be cut off if a worker was killed.
 */
import type { OutputStream } from './slot-shell.js'

/** A record of an index. Times are in milliseconds since 1970. */
export type LogRecord =
  | readonly ['start', id: string, attempt: number, atMs: number, command: string]
  | readonly ['output', id: string, attempt: number, offset: number, bytes: number, stream: OutputStream]
  | readonly ['end', id: string, attempt: number, atMs: number, how: string]

export const logSuffix = '.log'
export const indexSuffix = '.index'

/** Parses a line of an index; `undefined` if it is invalid. */
export function recordFrom(line: string): LogRecord | undefined {
  let record: unknown
  try {
    record = JSON.parse(line)
  } catch {
    return undefined
  }
  if (!Array.isArray(record) || typeof record[1] !== 'string' || typeof record[2] !== 'number') return undefined
  const [kind, , , third, fourth, fifth] = record
  if (kind === 'output') {
    const isPart = Number.isSafeInteger(third) && third >= 0 && Number.isSafeInteger(fourth) && fourth >= 0
    return isPart && (fifth === 'stdout' || fifth === 'stderr') ? (record as unknown as LogRecord) : undefined
  }
  const isEvent = (kind === 'start' || kind === 'end') && typeof third === 'number' && typeof fourth === 'string'
  return isEvent ? (record as unknown as LogRecord) : undefined
}
