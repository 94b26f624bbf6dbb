/** Looks at the flights of a run now and then: what takes too long is ended, what succeeded without a word is reported. */
import type { Call, Outcome } from './call.js'
import type { Chunk } from './chunk.js'
import { timeoutError } from './death-causes.js'
import type { Flights } from './flights.js'
import { monotonicMs } from './monotonic.js'

/** A progress bar is redrawn no more often. Milliseconds. */
const reportMs = 100

/** Bounds of how often overdue tasks are looked for: a tenth of their time, but not in a busy loop. Milliseconds. */
const leastTimeoutLookMs = 5
const mostTimeoutLookMs = 50

export class FlightWatch {
  readonly #flights: Flights
  readonly #timeoutMs: number | undefined
  readonly #report: (call: Call, outcome: Outcome) => void
  readonly #abort: (thread: number, chunk: Chunk, index: number, reason: Error) => void
  #timer: NodeJS.Timeout | undefined

  /**
   * @param timeoutMs tasks that run longer are aborted; `undefined`: no limit
   * @param report hears of silent successes
   * @param abort tells a thread that this task should end
   */
  constructor(
    flights: Flights,
    timeoutMs: number | undefined,
    report: (call: Call, outcome: Outcome) => void,
    abort: (thread: number, chunk: Chunk, index: number, reason: Error) => void,
  ) {
    this.#flights = flights
    this.#timeoutMs = timeoutMs
    this.#report = report
    this.#abort = abort
  }

  /** Watches as long as there are flights. */
  start(): void {
    if (this.#timer !== undefined) return
    const timeoutMs = this.#timeoutMs
    const lookMs =
      timeoutMs === undefined ? reportMs : Math.min(mostTimeoutLookMs, Math.max(leastTimeoutLookMs, timeoutMs / 10))
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#look()
      if (this.#flights.size > 0) this.start()
    }, lookMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    for (const { chunks } of this.#flights) {
      for (const chunk of chunks.values()) chunk.reportSilentSuccesses(this.#report)
    }
    if (this.#timeoutMs !== undefined) this.#endOverdue(this.#timeoutMs)
  }

  /** First a task's signal is aborted, then its thread is stopped. */
  #endOverdue(timeoutMs: number): void {
    const nowMs = monotonicMs()
    for (const flight of this.#flights) {
      for (const { chunk, index } of flight.overdue(timeoutMs, nowMs)) {
        const reason = timeoutError(timeoutMs)
        if (chunk.abort(index, reason, nowMs) && flight.thread !== undefined) {
          this.#abort(flight.thread, chunk, index, reason)
        }
      }
      if (flight.isHopeless(timeoutMs, nowMs)) flight.kill(timeoutError(timeoutMs))
    }
  }
}
