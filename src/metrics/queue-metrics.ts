/** Metrics of a queue, from numbers that were read before: a scraper asks the queue nothing. */
import type { WorkerStatus } from '../index.js'
import type { Overview } from '../overview/overview.js'
import { bySilence } from '../overview/silent-workers.js'
import type { Metric, Sample } from './exposition.js'

/** The last numbers of a queue. */
export interface QueueNumbers {
  readonly url: string
  /** `undefined`: they could not be read. */
  readonly overview: Overview | undefined
  readonly workers: readonly WorkerStatus[] | undefined
  /** When they were read. Milliseconds since 1970. */
  readonly atMs: number
}

/** Metrics of several queues. */
export function queueMetrics(queues: readonly QueueNumbers[], nowMs: number): Metric[] {
  const metric = (
    name: string,
    type: Metric['type'],
    help: string,
    samplesOf: (queue: QueueNumbers) => readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[],
  ): Metric => ({
    name,
    help,
    type,
    samples: queues.flatMap(queue =>
      samplesOf(queue).map(([labels, value]): Sample => ({ labels: { queue: queue.url, ...labels }, value })),
    ),
  })
  return [
    metric('ptq_queue_up', 'gauge', 'Whether the numbers of the queue could be read: 1 or 0.', ({ overview }) => [
      [{}, overview === undefined ? 0 : 1],
    ]),
    metric('ptq_queue_age_seconds', 'gauge', 'How old these numbers of the queue are.', ({ atMs }) => [
      [{}, Math.max(0, nowMs - atMs) / 1000],
    ]),
    metric('ptq_queue_messages', 'gauge', 'Tasks in the queue by state; failed: its dead letters.', ({ overview }) =>
      overview === undefined
        ? []
        : [
            [{ state: 'ready' }, overview.enqueued - overview.leased - overview.delayed],
            [{ state: 'leased' }, overview.leased],
            [{ state: 'delayed' }, overview.delayed],
            [{ state: 'failed' }, overview.failed],
            [{ state: 'quarantined' }, overview.quarantined],
          ],
    ),
    metric(
      'ptq_queue_inserted_total',
      'counter',
      'Tasks inserted since the queue was made or rezeroed.',
      ({ overview }) => (overview === undefined ? [] : [[{}, overview.inserted]]),
    ),
    metric('ptq_queue_completed_total', 'counter', 'Completions that were tallied since then.', ({ overview }) =>
      overview === undefined ? [] : [[{}, overview.completed]],
    ),
    metric('ptq_queue_workers', 'gauge', 'Workers by whether they report: alive or silent.', ({ workers, atMs }) => {
      if (workers === undefined) return []
      const { alive, silent } = bySilence(workers, atMs)
      return [
        [{ state: 'alive' }, alive.length],
        [{ state: 'silent' }, silent.length],
      ]
    }),
  ]
}
