/** Metrics of this process, under the names that Prometheus' client libraries use. */
import type { Metric } from './exposition.js'

/** Memory, processor time and start of this process. */
export function processMetrics(): Metric[] {
  const { rss, heapUsed } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const gauge = (name: string, help: string, value: number): Metric => ({
    name,
    help,
    type: 'gauge',
    samples: [{ labels: {}, value }],
  })
  return [
    gauge('process_resident_memory_bytes', 'Memory of the process, its threads included.', rss),
    gauge('nodejs_heap_size_used_bytes', "Heap in use in the process's main thread.", heapUsed),
    gauge('process_start_time_seconds', 'Start of the process, seconds since 1970.', performance.timeOrigin / 1000),
    {
      ...gauge(
        'process_cpu_seconds_total',
        'Processor time of the process, its threads included.',
        (user + system) / 1e6,
      ),
      type: 'counter',
    },
  ]
}
