/** Failures recorded with a message, possibly by another program. */

import { plainLine } from '../text/plain-line.js'
import type { Failure } from './messages.js'

/** Those entries that are failures: another program may have written the key with another meaning, or to spoil a terminal. */
export function failuresFrom(value: unknown): readonly Failure[] {
  if (!Array.isArray(value)) return []
  return value.filter(isFailure).map(({ stack, ...failure }) => ({
    ...failure,
    reason: plainLine(failure.reason),
    host: plainLine(failure.host),
    ...(typeof stack === 'string' && { stack: stack.split('\n').map(plainLine).join('\n') }),
  }))
}

function isFailure(value: unknown): value is Failure {
  if (typeof value !== 'object' || value === null) return false
  const { attempt, reason, host, pid, failedAtMs, durationSeconds } = value as Record<keyof Failure, unknown>
  const numbers = [attempt, pid, failedAtMs, durationSeconds]
  return typeof reason === 'string' && typeof host === 'string' && numbers.every(number => typeof number === 'number')
}
