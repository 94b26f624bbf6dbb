/** Serves the metrics of a worker, for `ptq poll --metrics-port`. */
import type { TaskQueue } from '../task-queue.js'
import { type MetricsServer, serveMetrics } from './metrics-server.js'
import { processMetrics } from './process-metrics.js'
import { WorkerMetrics } from './worker-metrics.js'

/** Counts the events of the workers of `queue` in this process and answers `/metrics`, until `close`. */
export async function serveWorkerMetrics(
  queue: TaskQueue,
  { threads, ...address }: { host: string; port: number; threads: number },
): Promise<MetricsServer> {
  const counts = new WorkerMetrics(queue, threads)
  const server = await serveMetrics(() => [...counts.metrics(), ...processMetrics()], address)
  return {
    url: server.url,
    close: async () => {
      counts.dispose()
      await server.close()
    },
  }
}
