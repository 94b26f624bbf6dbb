/** Finished spans in a short form. */
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node'

const kinds = ['internal', 'server', 'client', 'producer', 'consumer']
const statuses = ['unset', 'ok', 'error']

/** The parts of a span that tests look at. */
export interface ShownSpan {
  readonly name: string
  readonly kind: string | undefined
  readonly trace: string
  readonly id: string
  /** The id of its parent. */
  readonly parent: string | undefined
  /** `trace/id` of the spans that it links to. */
  readonly links: readonly string[]
  readonly status: string | undefined
  readonly message: string | undefined
  readonly attributes: Readonly<Record<string, unknown>>
  /** The types of recorded errors. */
  readonly errors: readonly unknown[]
  readonly seconds: number
}

export function shown(span: ReadableSpan): ShownSpan {
  const { traceId, spanId } = span.spanContext()
  return {
    name: span.name,
    kind: kinds[span.kind],
    trace: traceId,
    id: spanId,
    parent: span.parentSpanContext?.spanId,
    links: span.links.map(({ context }) => `${context.traceId}/${context.spanId}`),
    status: statuses[span.status.code],
    message: span.status.message,
    attributes: span.attributes,
    errors: span.events.map(({ attributes }) => attributes?.['exception.type']),
    seconds: span.duration[0] + span.duration[1] / 1e9,
  }
}
