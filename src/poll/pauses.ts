/** Pauses of leasing that errors of tasks cause, and the number of tasks that ended since the last one. */
import { Backoff } from './backoff.js'
import type { PollSettings } from './poll-options.js'

export class Pauses {
  /** Reset by a task that ends without `backoffExceptions`. */
  readonly #backoff: Backoff
  /** The pause before the next lease request. Seconds; `undefined`: none. */
  seconds: number | undefined
  /** Number of tasks that ended since the start or the last pause. */
  endedSince = 0

  /** @param random uniform in [0, 1) */
  constructor({ minBackoffSeconds, maxBackoffSeconds }: PollSettings, random: () => number) {
    this.#backoff = new Backoff(minBackoffSeconds, maxBackoffSeconds, random)
  }

  /** Delays the next lease request: a task failed with one of `backoffExceptions`. */
  pause(): void {
    // Tasks that failed together count once.
    this.seconds ??= this.#backoff.miss()
    this.endedSince = 0
  }

  /**
   * Delays the next lease request: a task's file can't be loaded now. Counts as an end, so that each request reaches further into
   * the queue: other tasks may be behind many of that file.
   */
  pauseForFile(): void {
    this.seconds ??= this.#backoff.miss()
    this.endedSince++
  }

  /** A task ended without `backoffExceptions`. */
  taskEnded(): void {
    this.#backoff.reset()
    this.endedSince++
  }
}
