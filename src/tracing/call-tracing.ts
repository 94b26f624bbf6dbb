/** Trace contexts of calls. Without types of OpenTelemetry's: public declarations lead here, and its package may be missing. */

/** How calls, of whatever kind `K`, get their trace contexts. */
export interface CallTracing<K> {
  /** In the form of `traceparent`, for a thread; `undefined`: it belongs to no trace. */
  traceparentOf(call: K): string | undefined
  /** Runs a call in this thread, with its context active. */
  run<R>(call: K, work: () => R): R
}
