/** `ptq/metrics`: metrics of the workers in this process, in Prometheus' text format. */
import type { TaskQueue } from '../task-queue.js'
import { metricsContentType, metricsText } from './exposition.js'
import { processMetrics } from './process-metrics.js'
import { WorkerMetrics as EventCounts } from './worker-metrics.js'

/** Counts the events of a queue's workers in this process. */
export interface WorkerMetrics {
  /** The metrics now, for the answer to `/metrics`. */
  text(): string
  /** The `Content-Type` of that answer. */
  readonly contentType: string
  /** Stops counting. */
  close(): void
}

/**
 * Counts the events of the workers of `queue` in this process from now on: call it before `poll`. Workers that `ptq
 * poll` starts have `--metrics-port` for the same.
 *
 * @param options.threads the number for `ptq_worker_threads`. Default: that metric is left out
 */
export function workerMetrics(
  queue: Pick<TaskQueue, 'url' | 'events'>,
  options: { readonly threads?: number } = {},
): WorkerMetrics {
  const counts = new EventCounts(queue, options.threads)
  return {
    text: () => metricsText([...counts.metrics(), ...processMetrics()]),
    contentType: metricsContentType,
    close: () => counts.dispose(),
  }
}
