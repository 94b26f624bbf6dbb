/** Tries calls to a server again while it restarts, is out of reach or too busy. */
import { elapsedMs } from '../time/clock.js'
import { sleep } from '../time/sleep.js'

/**
 * `busy`: the server answered, did nothing, and may succeed later. `unreachable`: nothing was sent. `silent`: the same, after
 * a time-out. `cut`: it may have been done, or may still be done. `final`: another try would fail in the same way.
 */
export type ServerFault = 'busy' | 'unreachable' | 'silent' | 'cut' | 'final'

/** First and longest pause, in milliseconds; full jitter between, doubling. */
const firstPauseMs = 50
const longestPauseMs = 2_000

/** The retries of one connection to a server. */
export class ServerRetries {
  readonly #faultOf: (error: unknown) => ServerFault
  readonly #retrySeconds: number
  readonly #closing: AbortSignal
  #answered = false

  /**
   * @param faultOf classifies an error of the client
   * @param retrySeconds the time after which a call is not tried again
   * @param closing its abort ends the retries
   */
  constructor(faultOf: (error: unknown) => ServerFault, retrySeconds: number, closing: AbortSignal) {
    this.#faultOf = faultOf
    this.#retrySeconds = retrySeconds
    this.#closing = closing
  }

  /**
   * Calls until it succeeds, the time is over, or another try would fail in the same way. A server that has never
   * answered is most likely a wrong address: it is tried once, and once more after a time-out, which may have passed
   * while this process was stopped.
   *
   * @param call gets true where an earlier try may have been carried out
   */
  async run<T>(call: (mayBeDone: boolean) => Promise<T>): Promise<T> {
    // Including the machine's sleep: many calls end with a lease.
    const endMs = elapsedMs() + this.#retrySeconds * 1000
    let mayBeDone = false
    for (let pauses = 0; ; pauses++) {
      try {
        const result = await call(mayBeDone)
        this.#answered = true
        return result
      } catch (error) {
        const fault = this.#faultOf(error)
        if (fault === 'busy') this.#answered = true
        if (fault === 'cut') mayBeDone = true
        const leftMs = endMs - elapsedMs()
        const isKnown = this.#answered || (fault === 'silent' && pauses === 0)
        if (fault === 'final' || !isKnown || leftMs <= 0 || this.#closing.aborted) throw error
        const pauseMs = Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(pauses, 10))
        await sleep(Math.min(pauseMs, leftMs), this.#closing)
      }
    }
  }
}
