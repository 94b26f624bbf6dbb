/** Distinguishes workers that are silent, or whose process has ended, from those that work. */
import { hostname } from 'node:os'
import { codeOf } from '../errors/thrown.js'
import type { WorkerStatus } from '../index.js'

/** Workers write every five seconds; of more than 250 each writes every 20 seconds, so that the queue is not busy with that. */
const silentAfterMs = 12_000
const manyWorkers = 250
const manySilentAfterMs = 45_000

/** Those that work, and those that were silent for too long or have ended. */
export function bySilence(
  workers: readonly WorkerStatus[],
  nowMs: number,
): { readonly alive: readonly WorkerStatus[]; readonly silent: readonly WorkerStatus[] } {
  const limitMs = workers.length > manyWorkers ? manySilentAfterMs : silentAfterMs
  const isSilent = (worker: WorkerStatus) => nowMs - worker.writtenAtMs > limitMs || hasEnded(worker)
  const silent = new Set(workers.filter(isSilent))
  return { alive: workers.filter(worker => !silent.has(worker)), silent: [...silent] }
}

/** True if the process of a worker on this machine has ended. */
export function hasEnded({ host, pid }: WorkerStatus): boolean {
  if (host !== hostname() || !Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return codeOf(error) === 'ESRCH'
  }
}
