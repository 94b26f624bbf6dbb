/** What is being written to the queue for tasks that failed or are given back. */
import type { Patience } from './patience.js'

export class Settling {
  readonly #patience: Patience
  readonly #onFault: (error: unknown) => void
  readonly #onSettled: () => void
  readonly #underWay = new Set<Promise<void>>()

  constructor(patience: Patience, options: { onFault: (error: unknown) => void; onSettled: () => void }) {
    this.#patience = patience
    this.#onFault = options.onFault
    this.#onSettled = options.onSettled
  }

  /** How many calls have not ended. */
  get size(): number {
    return this.#underWay.size
  }

  /**
   * Calls `settle`, which has to bear being called again. Resolves when that has ended.
   *
   * @param otherwise called where the queue could not do that: what can be done all the same
   */
  add(settle: () => Promise<void>, otherwise?: () => Promise<void>): Promise<void> {
    const settled = this.#patience
      .call(settle)
      .catch(async error => {
        this.#onFault(error)
        // The worker ends with the first error; a second one, of the same queue, would say no more.
        await otherwise?.().catch(() => undefined)
      })
      .finally(() => {
        this.#underWay.delete(settled)
        this.#onSettled()
      })
    this.#underWay.add(settled)
    return settled
  }

  /** Resolves when nothing is left. */
  async done(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }
}
