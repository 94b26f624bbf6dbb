/** The numbers of a queue with those of its dead letters and workers, for display. */
import { isErrorNamed } from '../errors/thrown.js'
import type { QueueStatus, TaskQueue, WorkerStatus } from '../index.js'

/** The numbers that are shown of a queue. */
export interface Overview extends QueueStatus {
  /** Dead letters; NaN if the queue has no dead-letter queue. */
  readonly failed: number
}

/**
 * The numbers of the queue and of its dead letters.
 * @param options.deadLetter URL of the dead-letter queue. Default: the queue's own
 */
export async function readOverview(queue: TaskQueue, options: { deadLetter?: string } = {}): Promise<Overview> {
  return { ...(await queue.status()), failed: await queue.failed(options) }
}

/** `undefined` where the queue can't hold what its workers do. */
export async function readWorkers(queue: TaskQueue): Promise<readonly WorkerStatus[] | undefined> {
  try {
    return await queue.workers()
  } catch (error) {
    if (isErrorNamed(error, 'UnsupportedOperationError')) return undefined
    throw error
  }
}

/**
 * The number of tasks that have left the queue, tallied or not, and are no dead letters; NaN if the queue counts no
 * inserts.
 */
export function goneFrom({ inserted, enqueued, failed }: Pick<Overview, 'inserted' | 'enqueued' | 'failed'>): number {
  return inserted - enqueued - (Number.isNaN(failed) ? 0 : failed)
}
