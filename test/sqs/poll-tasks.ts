/** Tasks of the tests that poll: the threads of a worker process import them from here. */
import { appendFileSync, existsSync, writeFileSync } from 'node:fs'
import { queueable } from 'ptq'

/** Writes down who ran it. A line is appended in one piece, whoever else writes. */
export const note = queueable(function note(n: number | bigint | string, ledger: string): void {
  appendFileSync(ledger, `${n} ${process.pid}\n`)
})

/** Ends when a server answers: whoever waits for the request knows that the task runs. */
export const knock = queueable(async function knock(url: string): Promise<void> {
  await (await fetch(url)).text()
})

/** Fails. */
export const fail = queueable(function fail(reason: string): void {
  throw new RangeError(reason)
})

/** Fails once; after that it ends the worker's whole process. `mark`: a file that the first attempt makes. */
export const failThenKill = queueable(function failThenKill(mark: string): void {
  if (existsSync(mark)) process.kill(process.pid, 'SIGKILL')
  writeFileSync(mark, '')
  throw new RangeError('no space left')
})

/** Ends the worker's whole process without a word. */
export const killWorker = queueable(function killWorker(): void {
  process.kill(process.pid, 'SIGKILL')
})
