/** The line of `context().log()`. */
import { format } from 'node:util'
import { textOf } from '../errors/thrown.js'

/** The values as `console.log` formats them. Never throws, whatever a value does when it is read. */
export function logLine(values: readonly unknown[]): string {
  try {
    return format(...values)
  } catch {
    return values.map(textOf).join(' ')
  }
}
