// Tasks of the tests of how a worker's process ends.
import { execSync } from 'node:child_process'
import { appendFileSync, readFileSync } from 'node:fs'
import { queueable } from 'ptq'

/** Blocks in an uninterruptible system call. */
export const readFifo = queueable(function readFifo(ledger: string, fifo: string): void {
  appendFileSync(ledger, 'begun\n')
  readFileSync(fifo)
})

/** Waits for a child process that never ends, until the pipe that it reads is closed. */
export const runShell = queueable(function runShell(ledger: string, fifo: string): void {
  appendFileSync(ledger, 'begun\n')
  execSync(`cat ${fifo}`)
})

/** Waits, and lets the event loop turn. */
export const waitOn = queueable(async function waitOn(ledger: string): Promise<void> {
  appendFileSync(ledger, 'begun\n')
  await new Promise(resolve => setTimeout(resolve, 600_000))
})

/** Leaves an unhandled rejection, and continues. */
export const rejectBeside = queueable(async function rejectBeside(ledger: string): Promise<void> {
  appendFileSync(ledger, 'begun\n')
  void Promise.reject(new Error('nobody waits for this'))
  await new Promise(resolve => setTimeout(resolve, 600_000))
})

/** Prints more than a pipe holds. */
export const printMuch = queueable(function printMuch(): void {
  for (let line = 0; line < 20; line++) console.log('x'.repeat(5_000))
})
