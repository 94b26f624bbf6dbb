/** Inserts into the sink, and checks that all tasks arrived. */
import { countMany } from '../counter.js'
import type { Measurement } from '../row.js'
import type { Sink } from './sink-process.js'

/**
 * Measures `insert` alone: the content of the sink is read afterwards.
 *
 * @param insert inserts the tasks `0` to `n - 1`
 * @throws Error unless each task arrived once
 */
export async function countReceived(
  sink: Sink,
  n: number,
  insert: () => Promise<unknown>,
): Promise<Pick<Measurement, 'seconds' | 'cpuSeconds' | 'requests'>> {
  const cpuBefore = process.cpuUsage()
  const startMs = performance.now()
  await insert()
  const seconds = (performance.now() - startMs) / 1000
  const { user, system } = process.cpuUsage(cpuBefore)
  const { numbers, requests } = await sink.received()
  const came = new Set(numbers)
  if (numbers.length !== n || came.size !== n || !came.has(0) || !came.has(n - 1)) {
    throw new Error(`Expected each of ${n} tasks once, got ${numbers.length} of which ${came.size} differ`)
  }
  countMany(n)
  return { seconds, cpuSeconds: (user + system) / 1e6, requests }
}
