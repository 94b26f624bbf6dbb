/** Counts and durations of a worker's tasks, for `stopFn`, `until` and the status. */
import type { Clock } from '../time/clock.js'
import type { PollState } from './poll-options.js'

export class WorkRecord {
  readonly #clock: Clock
  readonly #startedMs: number
  #previousSeconds: number | undefined
  /** Duration of the longest task so far. */
  longestSeconds = 0
  /** Tasks that were run to their end and removed. */
  executed = 0
  /** Attempts that failed. */
  failed = 0
  /** Lease requests since the last task was found. */
  tries = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startedMs = clock.nowMs()
  }

  /** Records the duration of a task. */
  took(seconds: number): void {
    this.#previousSeconds = seconds
    this.longestSeconds = Math.max(this.longestSeconds, seconds)
  }

  get state(): PollState {
    return {
      executed: this.executed,
      failed: this.failed,
      tries: this.tries,
      previousExecutionSeconds: this.#previousSeconds,
      elapsedSeconds: (this.#clock.nowMs() - this.#startedMs) / 1000,
    }
  }
}
