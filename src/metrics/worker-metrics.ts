/** Metrics of the workers of one TaskQueue, counted from their events. */
import type { WorkerEventMap } from '../poll/worker-events.js'
import type { TaskQueue } from '../task-queue.js'
import type { Metric, Sample } from './exposition.js'
import { TaskLabels } from './task-labels.js'

/** Upper bounds of the histogram of durations: from 10 ms to three hours. Seconds. */
const boundsSeconds = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000]

interface TaskNumbers {
  succeeded: number
  failed: number
  /** Attempts by duration, one count a bound and one above the last. */
  readonly buckets: number[]
  sumSeconds: number
}

export class WorkerMetrics {
  readonly #url: string
  readonly #events: TaskQueue['events']
  readonly #threads: number | undefined
  readonly #labels = new TaskLabels()
  readonly #tasks = new Map<string, TaskNumbers>()
  readonly #running = new Set<string>()
  #lost = 0
  #deadLetters = 0
  #released = 0

  /** @param threads the number of tasks that the worker runs at once; left out of the metrics if it isn't known */
  constructor({ url, events }: Pick<TaskQueue, 'url' | 'events'>, threads?: number) {
    this.#url = url
    this.#events = events
    this.#threads = threads
    events
      .on('started', this.#onStarted)
      .on('deleted', this.#onDeleted)
      .on('failed', this.#onFailed)
      .on('lost', this.#onLost)
      .on('released', this.#onReleased)
      .on('dead-lettered', this.#onDeadLettered)
  }

  /** Counts no further events. */
  dispose(): void {
    this.#events
      .off('started', this.#onStarted)
      .off('deleted', this.#onDeleted)
      .off('failed', this.#onFailed)
      .off('lost', this.#onLost)
      .off('released', this.#onReleased)
      .off('dead-lettered', this.#onDeadLettered)
  }

  metrics(): Metric[] {
    const queue = this.#url
    const single = (name: string, help: string, type: Metric['type'], value: number): Metric => ({
      name,
      help,
      type,
      samples: [{ labels: { queue }, value }],
    })
    return [
      {
        name: 'ptq_tasks_total',
        help: 'Attempts that ended here: succeeded (run to the end and removed) or failed.',
        type: 'counter',
        samples: [...this.#tasks].flatMap(([task, { succeeded, failed }]) => [
          { labels: { queue, task, outcome: 'succeeded' }, value: succeeded },
          { labels: { queue, task, outcome: 'failed' }, value: failed },
        ]),
      },
      {
        name: 'ptq_task_duration_seconds',
        help: 'Duration of attempts that ended here.',
        type: 'histogram',
        samples: [...this.#tasks].flatMap(([task, numbers]) => histogramSamples({ queue, task }, numbers)),
      },
      single('ptq_leases_lost_total', 'Tasks whose lease ended before they did.', 'counter', this.#lost),
      single(
        'ptq_dead_letters_total',
        'Tasks that this worker moved to the dead letters.',
        'counter',
        this.#deadLetters,
      ),
      single('ptq_tasks_released_total', 'Tasks that were leased and released.', 'counter', this.#released),
      single('ptq_worker_tasks_running', 'Tasks that are with a thread now.', 'gauge', this.#running.size),
      single('ptq_worker_threads', 'Tasks that the worker can run at once.', 'gauge', this.#threads ?? Number.NaN),
    ]
  }

  readonly #onStarted = ({ task }: WorkerEventMap['started']): void => {
    this.#running.add(task.id)
  }

  readonly #onDeleted = ({ task, durationSeconds }: WorkerEventMap['deleted']): void => {
    const numbers = this.#ended(task, durationSeconds)
    numbers.succeeded++
  }

  readonly #onFailed = ({ task, durationSeconds }: WorkerEventMap['failed']): void => {
    const numbers = this.#ended(task, durationSeconds)
    numbers.failed++
  }

  readonly #onLost = ({ task }: WorkerEventMap['lost']): void => {
    this.#running.delete(task.id)
    this.#lost++
  }

  readonly #onReleased = ({ task }: WorkerEventMap['released']): void => {
    this.#running.delete(task.id)
    this.#released++
  }

  readonly #onDeadLettered = (): void => {
    this.#deadLetters++
  }

  #ended(task: WorkerEventMap['deleted']['task'], durationSeconds: number): TaskNumbers {
    this.#running.delete(task.id)
    const label = this.#labels.of(task)
    let numbers = this.#tasks.get(label)
    if (numbers === undefined) {
      numbers = { succeeded: 0, failed: 0, buckets: new Array(boundsSeconds.length + 1).fill(0), sumSeconds: 0 }
      this.#tasks.set(label, numbers)
    }
    const above = boundsSeconds.findIndex(bound => durationSeconds <= bound)
    const bucket = above < 0 ? boundsSeconds.length : above
    numbers.buckets[bucket] = (numbers.buckets[bucket] ?? 0) + 1
    numbers.sumSeconds += durationSeconds
    return numbers
  }
}

function histogramSamples(labels: Readonly<Record<string, string>>, numbers: TaskNumbers): Sample[] {
  let count = 0
  const buckets = numbers.buckets.map((inBucket, index): Sample => {
    count += inBucket
    const bound = boundsSeconds[index]
    return { suffix: '_bucket', labels: { ...labels, le: bound === undefined ? '+Inf' : String(bound) }, value: count }
  })
  return [...buckets, { suffix: '_sum', labels, value: numbers.sumSeconds }, { suffix: '_count', labels, value: count }]
}
