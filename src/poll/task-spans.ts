/** Makes spans of the tasks of a worker, and of its requests to the queue. */
import type { Span } from '@opentelemetry/api'
import type { Failed, MessageLeases } from '../queue/leasing.js'
import { type LeasedTask, traceparentOf } from '../queue/queued-task.js'
import type { Call, Outcome } from '../threads/call.js'
import type { RunListener } from '../threads/run-options.js'
import type { CallTracing } from '../tracing/call-tracing.js'
import { QueueSpans } from '../tracing/queue-spans.js'
import { tracingOf } from '../tracing/traceparent.js'
import { taskOf } from './packed-call.js'
import type { WorkerEventMap, WorkerEvents } from './worker-events.js'

export class TaskSpans {
  /** The contexts of calls: their spans are active while they run. */
  readonly tracing: CallTracing<Call>
  readonly #spans: QueueSpans
  readonly #events: WorkerEvents
  /** A call that is taken back before it begins has a span that does not end, and is never exported. */
  readonly #ofCalls = new WeakMap<Call, Span>()
  /** Tasks whose attempt has a span; of all workers, since those of one queue object share its events. */
  static readonly #traced = new WeakSet<LeasedTask>()

  private constructor(spans: QueueSpans, events: WorkerEvents) {
    const { trace, ROOT_CONTEXT } = spans.api
    this.#spans = spans
    this.#events = events
    this.tracing = tracingOf(spans.api, call => {
      const span = this.#ofCalls.get(call)
      return span && trace.setSpan(ROOT_CONTEXT, span)
    })
    events.on('failed', this.#onFailed)
  }

  /** Spans of a worker; `undefined` where no SDK is registered. */
  static of(protocol: string, queueName: string, events: WorkerEvents): TaskSpans | undefined {
    const spans = QueueSpans.of(protocol, queueName)
    return spans && new TaskSpans(spans, events)
  }

  /** The listener, with a span around each call. */
  traced(listener: RunListener): RunListener {
    return {
      ...listener,
      onStart: call => {
        this.#ofCalls.set(call, this.#start(taskOf(call)))
        listener.onStart?.(call)
      },
      onOutcome: (call, outcome) => {
        this.#end(call, outcome)
        listener.onOutcome(call, outcome)
      },
    }
  }

  /** The verbs, with a span for each request. One that found nothing has none: a worker that waits makes many of them. */
  tracedLeasing(leasing: MessageLeases): MessageLeases {
    const settle = async (tasks: readonly LeasedTask[], request: () => Promise<Failed>): Promise<Failed> => {
      const startMs = Date.now()
      const failed = await request()
      const [error] = failed.values()
      if (tasks.length > 0) this.#spans.request('settle', startMs, { count: tasks.length, error })
      return failed
    }
    return {
      renew: (...args) => leasing.renew(...args),
      replace: (...args) => leasing.replace(...args),
      moveTo: async (...args) => {
        const startMs = Date.now()
        const isMoved = await leasing.moveTo(...args)
        if (isMoved) this.#spans.request('settle', startMs, { count: 1 })
        return isMoved
      },
      runsAlone: (...args) => leasing.runsAlone(...args),
      lease: async (...args) => {
        const startMs = Date.now()
        try {
          const tasks = await leasing.lease(...args)
          if (tasks.length > 0) this.#spans.request('receive', startMs, { count: tasks.length })
          return tasks
        } catch (error) {
          this.#spans.request('receive', startMs, { count: 0, error })
          throw error
        }
      },
      release: (backend, tasks, options) => settle(tasks, () => leasing.release(backend, tasks, options)),
      delete: (backend, tasks, options) => settle(tasks, () => leasing.delete(backend, tasks, options)),
    }
  }

  /** Makes no more spans. */
  dispose(): void {
    this.#events.off('failed', this.#onFailed)
  }

  #start(task: LeasedTask): Span {
    const { id, name, attempt } = task
    TaskSpans.#traced.add(task)
    return this.#spans.process({ id, name, attempt, traceparent: traceparentOf(task) })
  }

  #end(call: Call, outcome: Outcome): void {
    const span = this.#ofCalls.get(call)
    if (span === undefined) return
    if (!outcome.ok) this.#spans.fail(span, outcome.error)
    span.end()
  }

  /** An attempt may fail without a run, as that of a task that is not registered. */
  readonly #onFailed = ({ task, error }: WorkerEventMap['failed']): void => {
    if (TaskSpans.#traced.has(task)) return
    const span = this.#start(task)
    this.#spans.fail(span, error)
    span.end()
  }
}
