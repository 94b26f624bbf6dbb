/** The context of a span as text, in the form of the header `traceparent` of W3C's Trace Context. */
import type { Context, Span, SpanContext } from '@opentelemetry/api'
import type { CallTracing } from './call-tracing.js'
import type { OpenTelemetry } from './open-telemetry.js'

const pattern = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

/** The text for a span; `undefined` where there is none, or one without an id, as with tracing suppressed. */
export function traceparentOf({ isSpanContextValid }: OpenTelemetry, span: Span | undefined): string | undefined {
  const context = span?.spanContext()
  if (context === undefined || !isSpanContextValid(context)) return undefined
  return `00-${context.traceId}-${context.spanId}-${context.traceFlags.toString(16).padStart(2, '0')}`
}

/** The context of a span of another process or thread; `undefined` for text of another form. */
export function remoteSpan(
  { isSpanContextValid }: OpenTelemetry,
  traceparent: string | undefined,
): SpanContext | undefined {
  const [, traceId = '', spanId = '', flags = ''] = pattern.exec(traceparent ?? '') ?? []
  const context = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
  return isSpanContextValid(context) ? context : undefined
}

/** @param contextOf the context of a call; `undefined`: that which is active */
export function tracingOf<K>(api: OpenTelemetry, contextOf: (call: K) => Context | undefined): CallTracing<K> {
  return {
    traceparentOf: call => traceparentOf(api, api.trace.getSpan(contextOf(call) ?? api.context.active())),
    run: (call, work) => {
      const context = contextOf(call)
      return context === undefined ? work() : api.context.with(context, work)
    },
  }
}
