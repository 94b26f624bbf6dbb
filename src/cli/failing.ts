/** Maps an error to one sentence on stderr and an exit code. */
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { isError, isErrorNamed, messageOf, nameAndMessageOf } from '../errors/thrown.js'
import { printable } from './printing.js'
import { inWordsOfCommands } from './wording.js'

/** Milliseconds. */
const noticeEveryMs = 24 * 3600 * 1000

/** Something failed. */
const failedCode = 1
/** Bad use, or a queue that can't do this: nothing was changed. */
export const refusedCode = 2

const refusalNames = new Set(['UsageError', 'UnsupportedOperationError', 'UnsupportedProtocolError'])

/**
 * True for usage errors. The library's argument errors have one form, which distinguishes them from faults in other
 * code.
 */
function isRefusal(error: unknown): boolean {
  if (!isError(error)) return false
  return refusalNames.has(error.name) || (isErrorNamed(error, 'TypeError') && error.message.startsWith('Expected '))
}

/** An error as `ptq` ends with it. */
export interface EndingError {
  readonly exitCode: number
  /** Lines to print; with `PTQ_DEBUG=1` its stack and causes too. */
  readonly lines: readonly string[]
}

/** Describes an error in lines for stderr and an exit code. */
export function endingError(error: unknown): EndingError {
  const message = messageOf(error) || nameAndMessageOf(error)
  const lines = [`ptq: ${printable(inWordsOfCommands(message))}`]
  if (isDebugging()) lines.push(...inspect(error).split('\n').map(printable))
  return { exitCode: isRefusal(error) ? refusedCode : failedCode, lines }
}

/** Prints warnings in the form of errors, instead of in Node's own form. */
export function printWarnings(): void {
  process.removeAllListeners('warning')
  process.on('warning', warning => {
    if (isVersionNotice(warning) && !isNoticeDue()) return
    console.error(`ptq: warning: ${printable(inWordsOfCommands(warning.message))}`)
    if (isDebugging()) for (const line of inspect(warning).split('\n')) console.error(printable(line))
  })
}

/** The AWS SDK's notice about versions of Node, which it gives in every process. */
function isVersionNotice({ message }: Error): boolean {
  return message.startsWith('NodeVersionSupportWarning')
}

/** True once a day per user, and never with JSON. If that can't be recorded, it is shown. */
function isNoticeDue(): boolean {
  if (process.argv.includes('--json')) return false
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env
  const folder = join(XDG_CACHE_HOME || LOCALAPPDATA || join(homedir(), '.cache'), 'ptq')
  const path = join(folder, 'node-version-notice')
  try {
    if (Date.now() - statSync(path).mtimeMs < noticeEveryMs) return false
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return true
  }
  try {
    mkdirSync(folder, { recursive: true })
    writeFileSync(path, '')
  } catch {
    return true
  }
  return true
}

function isDebugging(): boolean {
  const { PTQ_DEBUG = '' } = process.env
  return PTQ_DEBUG !== '' && PTQ_DEBUG !== '0'
}
