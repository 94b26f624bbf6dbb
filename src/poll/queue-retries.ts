/** Retries queue calls with back-off on `backoffExceptions`; but lease requests wait in `Fetcher`, renewals in `LeaseKeeper`. */
import { Backoff } from './backoff.js'
import { isBackoffException } from './poll-options.js'
import type { WorkerDependencies } from './worker-dependencies.js'

export class QueueRetries {
  readonly #dependencies: Pick<WorkerDependencies, 'settings' | 'clock' | 'random'>
  readonly #endWaits = new Set<() => void>()
  #ended = false

  constructor(dependencies: Pick<WorkerDependencies, 'settings' | 'clock' | 'random'>) {
    this.#dependencies = dependencies
  }

  /**
   * Calls `verb`, which must be idempotent, until it fails with none of `backoffExceptions`.
   * @throws what `verb` throws otherwise, or after {@link end}
   */
  async retryWithBackoff<T>(verb: () => Promise<T>): Promise<T> {
    const { settings, random } = this.#dependencies
    const backoff = new Backoff(settings.minBackoffSeconds, settings.maxBackoffSeconds, random)
    for (;;) {
      try {
        return await verb()
      } catch (error) {
        if (this.#ended || !isBackoffException(error, settings.backoffExceptions)) throw error
        await this.#wait(backoff.miss())
      }
    }
  }

  /** Ends the waits: each call is tried once more at most. */
  end(): void {
    this.#ended = true
    for (const wake of [...this.#endWaits]) wake()
  }

  #wait(seconds: number): Promise<void> {
    return new Promise(resolve => {
      const wake = () => {
        cancel()
        this.#endWaits.delete(wake)
        resolve()
      }
      const cancel = this.#dependencies.clock.setAlarm(seconds * 1000, wake)
      this.#endWaits.add(wake)
    })
  }
}
