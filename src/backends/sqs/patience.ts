/** How long, and with what pauses, a request is tried again after the SDK has given up. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type FaultKind, faultKind } from './faults.js'

/** Longest pause before another try; the SDK's own limit. */
const LONGEST_PAUSE_MS = 20_000

/** First pause at most; throttling wants a longer one, as more requests would only prolong it. */
const FIRST_PAUSE_MS = { throttled: 400, faulty: 100, unreachable: 100 }

/** The time that is left for one call and its pauses: full jitter, doubling. */
export class Patience {
  readonly #connection: { readonly closed: boolean }
  readonly #endsAtMs: number
  readonly #signal: AbortSignal | undefined
  #pauses = 0

  /**
   * @param seconds the time from now after which nothing is tried again
   * @param signal ends a pause
   */
  constructor(connection: { readonly closed: boolean }, seconds: number, signal?: AbortSignal) {
    this.#connection = connection
    this.#endsAtMs = performance.now() + seconds * 1000
    this.#signal = signal
  }

  /**
   * Waits before the next try. Resolves with false where the time is used up or the connection closed.
   *
   * @throws AbortError when the signal is aborted
   */
  async pause(kind: Exclude<FaultKind, 'final'>): Promise<boolean> {
    const leftMs = this.#endsAtMs - performance.now()
    if (leftMs <= 0 || this.#connection.closed) return false
    const pauseMs = Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS[kind] * 2 ** this.#pauses++)
    await sleep(Math.min(pauseMs, leftMs), undefined, this.#signal && { signal: this.#signal })
    return !this.#connection.closed
  }
}

/**
 * Sends a request until it is answered or the time is used up; then rejects with the last error.
 *
 * @param whileUnreachable false where a server that doesn't answer at all is most likely a wrong address
 */
export async function sendPatiently<T>(
  send: () => Promise<T>,
  patience: Patience,
  { whileUnreachable = true } = {},
): Promise<T> {
  for (;;) {
    try {
      return await send()
    } catch (error) {
      const kind = faultKind(error)
      if (kind === 'final' || (kind === 'unreachable' && !whileUnreachable) || !(await patience.pause(kind)))
        throw error
    }
  }
}
