/**
 * Waits until a message may be there. A script that makes messages ready adds a member to the set `wake`; a blocked
 * `BZPOPMIN` of one idle client removes it, so one client polls, not all. If it finds more than it takes, its lease
 * script adds the member again.
 */
import { sleep } from '../../time/sleep.js'
import type { Connection } from './connection.js'

/** Maximum interval between polls of an idle worker: the client that took the member may have died. */
export const pollMs = 5_000

export class WakeUp {
  readonly #connection: Connection
  readonly #key: string
  /** Those that wait, the longest first. */
  readonly #waiting = new Set<AbortController>()
  #isBlocked = false

  constructor(connection: Connection, key: string) {
    this.#connection = connection
    this.#key = key
  }

  /** Resolves when a message may be there, after `ms`, or when `signal` aborts or the connection is closed. */
  async wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const woken = new AbortController()
    this.#waiting.add(woken)
    if (!this.#isBlocked) void this.#block()
    await sleep(ms, woken.signal, this.#connection.closing, signal)
    this.#waiting.delete(woken)
  }

  /** Keeps one blocked command while there is someone who waits. */
  async #block(): Promise<void> {
    this.#isBlocked = true
    try {
      while (this.#waiting.size > 0) {
        const taken = await this.#connection.blocking().call('BZPOPMIN', this.#key, pollMs / 1000)
        if (taken === null) continue
        const [next] = this.#waiting
        if (next !== undefined) next.abort()
        // For another client: all waiting calls of this one have ended.
        else await this.#connection.call('ZADD', this.#key, 0, '1')
        // Until it has polled; it may add the member again.
        if (next !== undefined) this.#waiting.delete(next)
      }
    } catch {
      // The connection broke, or the server allows no second one: the waits end by themselves.
    } finally {
      this.#isBlocked = false
    }
  }
}
