/** The tasks of the bench. */
import { queueable } from 'ptq'
import { countOne } from '../counter.js'

/** Nothing but the count. Its argument is what makes a million of them differ. */
export const noop = queueable(function noop(_index: number): void {
  countOne()
})

/** About 5 ms of arithmetic on the machines that this was made on: work, not time, so that two threads can't share it. */
const SPINS = 4_200_000

/** The work of a CPU-bound task. */
export const spin = queueable(function spin(seed: number): number {
  let value = seed
  for (let i = 0; i < SPINS; i++) value = (Math.imul(value, 1_664_525) + 1_013_904_223) | 0
  countOne()
  return value
})

/** Blocks its thread, without using the CPU. */
export const block = queueable(function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
  countOne()
})

/** Waits as a request to a server does, without using the CPU or blocking its thread. */
export const wait = queueable(async function wait(ms: number): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, ms))
  countOne()
})
