/** Traces of local runs: no spans of their own. Those that a task starts are children of the span that was active when it was given. */
import type { Context } from '@opentelemetry/api'
import type { Call } from '../threads/call.js'
import type { CallTracing } from '../tracing/call-tracing.js'
import { openTelemetry } from '../tracing/open-telemetry.js'
import { tracingOf } from '../tracing/traceparent.js'

/** The context that is active now, for all calls; `undefined` where no SDK is registered. */
export function callerTracing(): CallTracing<Call> | undefined {
  const api = openTelemetry()
  if (api === undefined) return undefined
  const context = api.context.active()
  return tracingOf(api, () => context)
}

/** The contexts of calls that are given one by one. */
export class CallerContexts {
  readonly #contexts = new WeakMap<Call, Context>()

  /** Notes that a call is given in the context that is active now. */
  note(call: Call): void {
    const api = openTelemetry()
    if (api !== undefined) this.#contexts.set(call, api.context.active())
  }

  /** `undefined` where no SDK is registered. */
  get tracing(): CallTracing<Call> | undefined {
    const api = openTelemetry()
    return api && tracingOf(api, call => this.#contexts.get(call))
  }
}
