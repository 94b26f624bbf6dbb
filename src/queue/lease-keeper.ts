/**
 * Renews leases when half of their time is over, and again soon after a renewal that failed, until they are dropped. In the main
 * thread, which no task can block.
 */
import type { Clock } from '../time/clock.js'

/** Leases that are due within this part of a lease are renewed in one batch: fewer requests. */
const batchPart = 0.05

/** Retry delay of a failed renewal, as a part of the lease. It does not grow: only about four retries fit into the second half. */
const retryPart = 0.1

/** Renews a batch; resolves with the keys whose leases are lost, rejects if the queue failed. */
export type Renew<K> = (keys: readonly K[], seconds: number) => Promise<ReadonlyMap<K, Error>>

/** @typeParam K the key of a lease */
export class LeaseKeeper<K> {
  readonly #leaseSeconds: number
  readonly #renew: Renew<K>
  readonly #onLost: (key: K, error: Error) => void
  readonly #onFault: (error: unknown) => void
  readonly #clock: Clock
  /** Time of the next renewal of each lease. */
  readonly #dueMs = new Map<K, number>()
  #alarm: { readonly atMs: number; readonly cancel: () => void } | undefined
  #renewing = false

  constructor(options: {
    leaseSeconds: number
    renew: Renew<K>
    onLost: (key: K, error: Error) => void
    onFault: (error: unknown) => void
    clock: Clock
  }) {
    this.#leaseSeconds = options.leaseSeconds
    this.#renew = options.renew
    this.#onLost = options.onLost
    this.#onFault = options.onFault
    this.#clock = options.clock
  }

  /** Renews a lease from now on, first in half of `seconds`: it was just taken, or renewed elsewhere, and ends `seconds` from now. */
  keep(key: K, seconds = this.#leaseSeconds): void {
    const dueMs = this.#clock.nowMs() + seconds * 500
    this.#dueMs.set(key, dueMs)
    if (!this.#renewing && (this.#alarm === undefined || dueMs < this.#alarm.atMs)) this.#setAlarm(dueMs)
  }

  /** Stops renewing a lease. */
  drop(key: K): void {
    if (this.#dueMs.delete(key) && this.#dueMs.size === 0) this.#clearAlarm()
  }

  /** Stops all renewals and the timer. */
  close(): void {
    this.#dueMs.clear()
    this.#clearAlarm()
  }

  #clearAlarm(): void {
    this.#alarm?.cancel()
    this.#alarm = undefined
  }

  #setAlarm(atMs: number): void {
    this.#clearAlarm()
    const cancel = this.#clock.setAlarm(Math.max(0, atMs - this.#clock.nowMs()), () => {
      this.#alarm = undefined
      void this.#renewDue()
    })
    this.#alarm = { atMs, cancel }
  }

  async #renewDue(): Promise<void> {
    const untilMs = this.#clock.nowMs() + this.#leaseSeconds * 1000 * batchPart
    const due: K[] = []
    for (const [key, dueMs] of this.#dueMs) if (dueMs <= untilMs) due.push(key)
    this.#renewing = true
    try {
      const lost = due.length === 0 ? new Map<K, Error>() : await this.#renew(due, this.#leaseSeconds)
      for (const key of due) {
        // Dropped during the request.
        if (!this.#dueMs.has(key)) continue
        const error = lost.get(key)
        if (error === undefined) this.keep(key)
        else {
          this.drop(key)
          this.#onLost(key, error)
        }
      }
    } catch (error) {
      this.#onFault(error)
      // Twice the delay, since `keep` renews after half of its time.
      for (const key of due) if (this.#dueMs.has(key)) this.keep(key, this.#leaseSeconds * 2 * retryPart)
    } finally {
      this.#renewing = false
      let nextMs = Number.POSITIVE_INFINITY
      for (const dueMs of this.#dueMs.values()) nextMs = Math.min(nextMs, dueMs)
      if (this.#dueMs.size > 0) this.#setAlarm(nextMs)
    }
  }
}
