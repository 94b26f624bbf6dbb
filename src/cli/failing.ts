/** From an error to one sentence on stderr and an exit code. */
import { inspect } from 'node:util'
import { printable } from './printing.js'

/** Something failed. */
const FAILED = 1
/** Bad use, or a queue that can't do this: nothing was changed. */
const REFUSED = 2

const REFUSALS = new Set(['UsageError', 'UnsupportedOperationError', 'UnsupportedProtocolError'])

/** The library's argument errors have one form, by which they differ from a slip in somebody's code. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return REFUSALS.has(error.name) || (error instanceof TypeError && error.message.startsWith('Expected '))
}

/** Prints an error; with `PTQ_DEBUG=1` its stack and causes too. @returns the exit code */
export function reportError(error: unknown): number {
  const message = error instanceof Error ? error.message || error.name : String(error)
  console.error(`ptq: ${printable(message)}`)
  if (isDebugging()) for (const line of inspect(error).split('\n')) console.error(printable(line))
  return isRefusal(error) ? REFUSED : FAILED
}

/** Prints warnings as errors are printed, instead of in Node's own form. */
export function printWarnings(): void {
  process.removeAllListeners('warning')
  process.on('warning', warning => {
    console.error(`ptq: warning: ${printable(warning.message)}`)
    if (isDebugging()) for (const line of inspect(warning).split('\n')) console.error(printable(line))
  })
}

function isDebugging(): boolean {
  const { PTQ_DEBUG = '' } = process.env
  return PTQ_DEBUG !== '' && PTQ_DEBUG !== '0'
}
