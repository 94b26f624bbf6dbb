/** Distinguishes pool threads from other threads. */

// On `globalThis` for the reason given in registry.ts.
const key = Symbol.for('ptq.poolThread.1')
const place = globalThis as { [key]?: true }

/** Called once by workers/thread.ts. */
export function markPoolThread(): void {
  place[key] = true
}

/** True in a thread of the pool. */
export function inPoolThread(): boolean {
  return place[key] === true
}
