/** How long, and with what pauses, a request is tried again after the SDK has given up. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Connection } from './connection.js'
import { type FaultKind, faultKind } from './faults.js'

/** Longest pause before another try; the SDK's own limit. */
const LONGEST_PAUSE_MS = 20_000

/** First pause at most; throttling wants a longer one, as more requests would only prolong it. */
const FIRST_PAUSE_MS = { throttled: 400, faulty: 100, unreachable: 100 }

/** What is asked of a connection, and told to it. */
type Line = Pick<Connection, 'closed' | 'answered'>

/** The time that is left for one call and its pauses: full jitter, doubling. */
export class Patience {
  readonly #connection: Line
  readonly #endsAtMs: number
  readonly #signal: AbortSignal | undefined
  #pauses = 0

  /**
   * @param seconds the time from now after which nothing is tried again
   * @param signal ends a pause
   */
  constructor(connection: Line, seconds: number, signal?: AbortSignal) {
    this.#connection = connection
    this.#endsAtMs = performance.now() + seconds * 1000
    this.#signal = signal
  }

  /** The server answered. */
  answered(): void {
    this.#connection.answered = true
  }

  /**
   * Waits before the next try. Resolves with false where the time is used up or the connection closed, and for a server
   * that has never answered: that one is most likely a wrong address, and the SDK has tried three times.
   *
   * @throws AbortError when the signal is aborted
   */
  async pause(kind: Exclude<FaultKind, 'final'>): Promise<boolean> {
    if (kind !== 'unreachable') this.answered()
    if (!this.#connection.answered) return false
    const leftMs = this.#endsAtMs - performance.now()
    if (leftMs <= 0 || this.#connection.closed) return false
    const pauseMs = Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS[kind] * 2 ** this.#pauses++)
    await sleep(Math.min(pauseMs, leftMs), undefined, this.#signal && { signal: this.#signal })
    return !this.#connection.closed
  }
}

/** Sends a request until it is answered or the time is used up; then rejects with the last error. */
export async function sendPatiently<T>(send: () => Promise<T>, patience: Patience): Promise<T> {
  for (;;) {
    try {
      const reply = await send()
      patience.answered()
      return reply
    } catch (error) {
      const kind = faultKind(error)
      if (kind === 'final' || !(await patience.pause(kind))) throw error
    }
  }
}
