/** The retries of a request after the SDK has given up: their pauses, and when they end. */
import { elapsedMs } from '../../time/clock.js'
import { sleep } from '../../time/sleep.js'
import type { Connection } from './connection.js'
import { type FaultKind, faultKind, isKeyExpired, isKeyRefused } from './faults.js'

/** Maximum pause before another try; the SDK's own limit. */
const maxPauseMs = 20_000

/** Maximum of the first pause; longer for throttling, as more requests would only prolong it. */
const firstPauseMs = { throttled: 400, faulty: 100, unreachable: 100 }

/** The used part of a connection. */
type ConnectionState = Pick<Connection, 'closed' | 'answered' | 'closing' | 'fileCredentials'>

/** The time that is left for one call and its pauses: full jitter, doubling. */
export class RetryPolicy {
  readonly #connection: ConnectionState
  readonly #endsAtMs: number
  readonly #signal: AbortSignal | undefined
  /** The credentials of the file that the next try is made with. */
  #credentials: number | undefined
  #pauses = 0

  /**
   * @param seconds the time from now after which nothing is tried again
   * @param signal ends a pause
   */
  constructor(connection: ConnectionState, seconds: number, signal?: AbortSignal) {
    this.#connection = connection
    // Including the machine's sleep: many calls end with a lease.
    this.#endsAtMs = elapsedMs() + seconds * 1000
    this.#signal = signal
    this.#credentials = connection.fileCredentials?.version
  }

  /** The server answered. */
  answered(): void {
    this.#connection.answered = true
  }

  /**
   * Resolves with true where a failed request is to be sent again: after a pause, or at once where the file has other credentials now
   * than those that SQS refused. Where those were good before and have expired, the file is waited for.
   *
   * @throws AbortError when the signal is aborted
   */
  async mayRetry(error: unknown): Promise<boolean> {
    const kind = faultKind(error)
    if (kind !== 'final') return this.pause(kind)
    const { fileCredentials, closed } = this.#connection
    if (fileCredentials === undefined || closed || !isKeyRefused(error)) return false
    // Another request may have read them since.
    if (fileCredentials.version === this.#credentials) await fileCredentials.read()
    const haveChanged = fileCredentials.version !== this.#credentials
    this.#credentials = fileCredentials.version
    return haveChanged || (isKeyExpired(error) && this.#connection.answered && (await this.pause('throttled')))
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
    const leftMs = this.#endsAtMs - elapsedMs()
    if (leftMs <= 0 || this.#connection.closed) return false
    const pauseMs = Math.random() * Math.min(maxPauseMs, firstPauseMs[kind] * 2 ** this.#pauses++)
    await sleep(Math.min(pauseMs, leftMs), this.#signal, this.#connection.closing)
    if (this.#signal?.aborted) throw abortError(this.#signal.reason)
    return !this.#connection.closed && elapsedMs() < this.#endsAtMs
  }
}

function abortError(cause: unknown): Error {
  return Object.assign(new Error('The request was aborted', { cause }), { name: 'AbortError' })
}

/** Sends a request until it is answered or the time is used up; then rejects with the last error. */
export async function sendWithRetry<T>(send: () => Promise<T>, retry: RetryPolicy): Promise<T> {
  for (;;) {
    try {
      const reply = await send()
      retry.answered()
      return reply
    } catch (error) {
      if (!(await retry.mayRetry(error))) throw error
    }
  }
}
