/** The line of `context().log()`. */
import { format } from 'node:util'
import { textOf } from '../errors/thrown.js'

/** The values as `console.log` formats them. Never throws, even if reading a value does. */
export function logLine(values: readonly unknown[]): string {
  try {
    return format(...values)
  } catch {
    return values.map(textOf).join(' ')
  }
}
