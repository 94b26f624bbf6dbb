/** Tracks queue writes for tasks that failed or are released. */
import type { QueueRetries } from './queue-retries.js'

export class PendingWrites {
  readonly #retries: QueueRetries
  readonly #onFault: (error: unknown) => void
  readonly #onSettled: () => void
  readonly #pending = new Set<Promise<void>>()

  constructor(retries: QueueRetries, options: { onFault: (error: unknown) => void; onSettled: () => void }) {
    this.#retries = retries
    this.#onFault = options.onFault
    this.#onSettled = options.onSettled
  }

  /** Number of pending writes. */
  get size(): number {
    return this.#pending.size
  }

  /**
   * Calls `settle`, which must be idempotent, with retries. Resolves when it has ended.
   *
   * @param fallback called once if `settle` failed
   */
  add(settle: () => Promise<void>, fallback?: () => Promise<void>): Promise<void> {
    const settled = this.#retries
      .retryWithBackoff(settle)
      .catch(async error => {
        this.#onFault(error)
        // The worker ends with the first error; a second one of the same queue adds nothing.
        await fallback?.().catch(() => undefined)
      })
      .finally(() => {
        this.#pending.delete(settled)
        this.#onSettled()
      })
    this.#pending.add(settled)
    return settled
  }

  /** Resolves when no write is pending. */
  async done(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending)
  }
}
