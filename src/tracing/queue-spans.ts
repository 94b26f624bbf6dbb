/**
 * Spans of the verbs of a queue, by the semantic conventions for messaging, version 1.45.0, whose status is Development:
 * names and attributes may change with it.
 */
import type { Attributes, Context, Span, Tracer } from '@opentelemetry/api'
import { isError, messageOf, nameOf } from '../errors/thrown.js'
import { type OpenTelemetry, openTelemetry } from './open-telemetry.js'
import { remoteSpan, traceparentOf } from './traceparent.js'

/** A queue as spans name it. */
export interface TracedQueue {
  /** Of its URL: `fq`, `sqs`, … */
  readonly protocol: string
  /** Without host and credentials. */
  readonly name: string
}

/** A message or task that is processed. */
export interface TracedTask {
  readonly id: string
  readonly name: string
  readonly attempt: number
  /** Of the span that sent it. */
  readonly traceparent: string | undefined
}

type Operation = 'send' | 'receive' | 'process' | 'settle'

const messageCount = 'messaging.batch.message_count'

/** Makes the spans of one queue. */
export class QueueSpans {
  readonly api: OpenTelemetry
  readonly #queue: TracedQueue
  readonly #tracer: Tracer

  private constructor(api: OpenTelemetry, queue: TracedQueue) {
    this.api = api
    this.#queue = queue
    this.#tracer = api.trace.getTracer('ptq')
  }

  /** Spans of a queue; `undefined` where no SDK is registered. */
  static of(protocol: string, name: string): QueueSpans | undefined {
    const api = openTelemetry()
    return api && new QueueSpans(api, { protocol, name })
  }

  /**
   * Runs an insert in a span `send`, a child of the active one.
   *
   * @param insert gets the `traceparent` for its messages; resolves with their number
   */
  async send(insert: (traceparent: string | undefined) => Promise<number>): Promise<number> {
    const { context, trace } = this.api
    const span = this.#start('send', this.api.SpanKind.PRODUCER, {}, { parent: context.active() })
    try {
      const inserted = await context.with(trace.setSpan(context.active(), span), () =>
        insert(traceparentOf(this.api, span)),
      )
      span.setAttribute(messageCount, inserted)
      return inserted
    } catch (error) {
      this.fail(span, error)
      throw error
    } finally {
      span.end()
    }
  }

  /** Starts a span `process`: the root of a trace, with a link to the span that sent the task. */
  process({ id, name, attempt, traceparent }: TracedTask): Span {
    const sent = remoteSpan(this.api, traceparent)
    const attributes = { 'messaging.message.id': id, 'ptq.task.name': name, 'ptq.task.attempt': attempt }
    const links = sent === undefined ? [] : [{ context: sent }]
    return this.#start('process', this.api.SpanKind.CONSUMER, attributes, { links })
  }

  /**
   * Makes a span of a request on several messages that has ended.
   *
   * @param startTime when it began. Milliseconds since 1970
   * @param end.error why it failed
   */
  request(operation: 'receive' | 'settle', startTime: number, end: { count: number; error?: unknown }): void {
    const span = this.#start(operation, this.api.SpanKind.CLIENT, { [messageCount]: end.count }, { startTime })
    if (end.error !== undefined) this.fail(span, end.error)
    span.end()
  }

  /** Records what was thrown. */
  fail(span: Span, thrown: unknown): void {
    const message = messageOf(thrown)
    span.recordException(isError(thrown) ? thrown : message)
    span.setStatus({ code: this.api.SpanStatusCode.ERROR, message })
    span.setAttribute('error.type', isError(thrown) ? nameOf(thrown) : '_OTHER')
  }

  #start(
    operation: Operation,
    kind: number,
    attributes: Attributes,
    { parent = this.api.ROOT_CONTEXT, ...options }: SpanOptions = {},
  ): Span {
    const { protocol, name } = this.#queue
    const all = {
      'messaging.system': protocol === 'sqs' ? 'aws_sqs' : `ptq_${protocol}`,
      'messaging.destination.name': name,
      'messaging.operation.name': operation,
      'messaging.operation.type': operation,
      ...attributes,
    }
    return this.#tracer.startSpan(`${operation} ${name}`, { kind, attributes: all, ...options }, parent)
  }
}

interface SpanOptions {
  readonly startTime?: number
  readonly links?: { context: NonNullable<ReturnType<typeof remoteSpan>> }[]
  /** Default: none. A worker runs for days: a span that was active when it began would be the parent of them all. */
  readonly parent?: Context
}
