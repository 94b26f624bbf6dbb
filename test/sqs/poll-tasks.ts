/** Tasks of the tests that poll: the threads of a worker process import them from here. */
import { appendFileSync, existsSync, writeFileSync } from 'node:fs'
import { queueable } from 'ptq'

/** Records its worker. A line is appended in one write, also with concurrent writers. */
export const note = queueable(function note(n: number | bigint | string, ledger: string): void {
  appendFileSync(ledger, `${n} ${process.pid}\n`)
})

/** Ends when a server responds: the receiver of the request knows that the task runs. */
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

/** Kills the worker's process. */
export const killWorker = queueable(function killWorker(): void {
  process.kill(process.pid, 'SIGKILL')
})
