/** Exit codes of commands as people read them. */
import { constants } from 'node:os'

/** The signal of an exit code: shells return 128 + n. A program that exits with such a code looks the same. */
export function signalOf(exitCode: number): { readonly name: NodeJS.Signals; readonly number: number } | undefined {
  const entry = Object.entries(constants.signals).find(([, number]) => number === exitCode - 128)
  return entry && { name: entry[0] as NodeJS.Signals, number: entry[1] }
}

/** e.g. `exit code 3`, `killed by SIGKILL (exit code 137)` */
export function exitText(exitCode: number): string {
  const signal = signalOf(exitCode)
  return signal === undefined ? `exit code ${exitCode}` : `killed by ${signal.name} (exit code ${exitCode})`
}

/** A command that ended by itself, without success. */
export class CommandFailedError extends Error {
  readonly exitCode: number

  /** @param lastErrors the last lines of its stderr */
  constructor(exitCode: number, lastErrors: string) {
    super(lastErrors === '' ? exitText(exitCode) : `${exitText(exitCode)}: ${lastErrors}`)
    this.name = 'CommandFailedError'
    this.exitCode = exitCode
  }
}
