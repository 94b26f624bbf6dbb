/** Measures how long single tasks waited, for cases of latency. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Measurement } from '../row.js'

/** Idle time of the worker between two tasks, as for a task that comes unexpectedly. */
const IDLE_MS = 5

/**
 * Times `n` tasks, one after the other.
 * @param waitMs runs one task and returns how long it waited
 */
export async function measureWaits(n: number, waitMs: () => Promise<number>): Promise<Partial<Measurement>> {
  const waitsMs: number[] = []
  for (let index = 0; index < n; index++) {
    await sleep(IDLE_MS)
    waitsMs.push(await waitMs())
  }
  waitsMs.sort((a, b) => a - b)
  const quantile = (part: number) => waitsMs[Math.min(n - 1, Math.floor(n * part))] ?? Number.NaN
  // The time that the tasks took, without the pauses.
  const seconds = waitsMs.reduce((sum, ms) => sum + ms, 0) / 1000
  return { seconds, p50Ms: quantile(0.5), p99Ms: quantile(0.99) }
}
