/**
 * The API of OpenTelemetry, which is loaded only where an SDK is registered: without one, the cost of traces is a look at
 * `globalThis`.
 */
import { createRequire } from 'node:module'
import type * as Api from '@opentelemetry/api'
import { nameAndMessageOf } from '../errors/thrown.js'

/** The module `@opentelemetry/api`. */
export type OpenTelemetry = typeof Api

/** The place where every copy of that module, of major version 1, finds what the SDK has registered. */
const place = Symbol.for('opentelemetry.js.api.1')

let loaded: OpenTelemetry | undefined
let isMissing = false

/** The API; `undefined` where this thread has no SDK for traces. */
export function openTelemetry(): OpenTelemetry | undefined {
  const registered = (globalThis as { [place]?: { readonly trace?: unknown } })[place]
  if (registered?.trace === undefined || isMissing) return undefined
  if (loaded !== undefined) return loaded
  try {
    loaded = createRequire(import.meta.url)('@opentelemetry/api') as OpenTelemetry
    return loaded
  } catch (error) {
    isMissing = true
    process.emitWarning(
      'An SDK of OpenTelemetry is registered, but ptq makes no spans: install @opentelemetry/api where ptq is installed ' +
        `(${nameAndMessageOf(error)})`,
      { code: 'PTQ_NO_TRACES' },
    )
    return undefined
  }
}

/** Longest time to wait until the SDK has exported the spans of this thread. Milliseconds. */
const flushMs = 5_000

/** Has the SDK export the spans that ended in this thread: it is about to end. Never rejects. */
export async function flushSpans(): Promise<void> {
  const provider: unknown = openTelemetry()?.trace.getTracerProvider()
  // The API has a provider of its own, which passes spans to that of the SDK.
  const sdk = hasMethod(provider, 'getDelegate') ? provider.getDelegate() : provider
  if (!hasMethod(sdk, 'forceFlush')) return
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise(resolve => {
    timer = setTimeout(resolve, flushMs)
  })
  try {
    await Promise.race([sdk.forceFlush(), timeout])
  } catch (error) {
    process.emitWarning(`Spans could not be exported: ${nameAndMessageOf(error)}`, { code: 'PTQ_SPANS_LOST' })
  } finally {
    clearTimeout(timer)
  }
}

function hasMethod<Name extends string>(value: unknown, name: Name): value is Record<Name, () => unknown> {
  return typeof (value as Partial<Record<Name, unknown>> | undefined)?.[name] === 'function'
}
