/** Contexts of spans that another thread makes. */
import { openTelemetry } from './open-telemetry.js'
import { remoteSpan } from './traceparent.js'

/**
 * A function that runs work as a part of the span with this `traceparent`: spans that it starts are children of that. `undefined` where no
 * SDK is registered in this thread.
 */
export function remoteContexts(): (<R>(traceparent: string | undefined, work: () => R) => R) | undefined {
  const api = openTelemetry()
  if (api === undefined) return undefined
  return (traceparent, work) => {
    const parent = remoteSpan(api, traceparent)
    if (parent === undefined) return work()
    return api.context.with(api.trace.setSpanContext(api.ROOT_CONTEXT, parent), work)
  }
}
