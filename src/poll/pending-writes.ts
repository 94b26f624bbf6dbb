/** Tracks queue writes for tasks that failed or are released. */
import type { Activity } from './activity.js'
import type { ExecutedTasks } from './executed-tasks.js'
import type { QueueRetries } from './queue-retries.js'
import type { WorkerEnd } from './worker-end.js'

export class PendingWrites {
  readonly #retries: QueueRetries
  readonly #executed: ExecutedTasks
  readonly #end: WorkerEnd
  readonly #activity: Activity
  readonly #pending = new Set<Promise<void>>()

  constructor(retries: QueueRetries, executed: ExecutedTasks, end: WorkerEnd, activity: Activity) {
    this.#retries = retries
    this.#executed = executed
    this.#end = end
    this.#activity = activity
  }

  /** Number of pending writes. */
  get size(): number {
    return this.#pending.size
  }

  /**
   * Calls `settle`, which must be idempotent, with retries; the worker ends with what it fails with. Resolves when it has ended.
   *
   * @param fallback called once if `settle` failed
   */
  add(settle: () => Promise<void>, fallback?: () => Promise<void>): Promise<void> {
    const settled = this.#retries
      .retryWithBackoff(settle)
      .catch(async error => {
        this.#end.fail(error)
        // The worker ends with the first error; a second one of the same queue adds nothing.
        await fallback?.().catch(() => undefined)
      })
      .finally(() => {
        this.#pending.delete(settled)
        this.#executed.stopIfAsked()
        this.#activity.changed()
      })
    this.#pending.add(settled)
    return settled
  }

  /** Resolves when no write is pending. */
  async done(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending)
  }
}
