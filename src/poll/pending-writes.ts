/** What is being written to the queue for tasks that failed or are given back. */
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

  /** How many calls have not ended. */
  get size(): number {
    return this.#pending.size
  }

  /**
   * Calls `settle`, which has to bear being called again. Resolves when that has ended.
   *
   * @param fallback called where the queue could not do that: what can be done all the same
   */
  add(settle: () => Promise<void>, fallback?: () => Promise<void>): Promise<void> {
    const settled = this.#retries
      .retryWithBackoff(settle)
      .catch(async error => {
        this.#onFault(error)
        // The worker ends with the first error; a second one, of the same queue, would say no more.
        await fallback?.().catch(() => undefined)
      })
      .finally(() => {
        this.#pending.delete(settled)
        this.#onSettled()
      })
    this.#pending.add(settled)
    return settled
  }

  /** Resolves when nothing is left. */
  async done(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending)
  }
}
