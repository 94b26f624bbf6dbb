/** Looks at the flights of a run now and then: what takes too long is ended, what succeeded without a word is reported. */

import { monotonicMs } from '../time/monotonic.js'
import type { Call, Outcome } from './call.js'
import type { Chunk } from './chunk.js'
import { timeoutError } from './death-causes.js'
import type { Flight } from './flight.js'
import type { Flights } from './flights.js'

/** How often: a tenth of the tasks' time, but not in a busy loop, nor so rarely that a progress bar stands. Milliseconds. */
const leastLookMs = 5
const mostLookMs = 50

/** What a {@link FlightWatch} asks of its run. */
export interface WatchOwner {
  /** A task succeeded without a word. */
  report(call: Call, outcome: Outcome): void
  /** A thread is to abort the signal of a task. */
  abort(thread: number, chunk: Chunk, index: number, reason: Error): void
  /** Outcomes of a flight can't be read. */
  settleUnreadable(flight: Flight): void
}

export class FlightWatch {
  readonly #flights: Flights
  readonly #timeoutMs: number
  readonly #owner: WatchOwner
  #timer: NodeJS.Timeout | undefined

  /** @param timeoutMs tasks that run longer are aborted */
  constructor(flights: Flights, timeoutMs = Number.POSITIVE_INFINITY, owner: WatchOwner) {
    this.#flights = flights
    this.#timeoutMs = timeoutMs
    this.#owner = owner
  }

  /** Watches as long as there are flights. */
  start(): void {
    if (this.#timer !== undefined) return
    const lookMs = Math.min(mostLookMs, Math.max(leastLookMs, this.#timeoutMs / 10))
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#look(monotonicMs())
      if (this.#flights.size > 0) this.start()
    }, lookMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Asks a task to end, by its signal. If it does not, its thread is stopped. */
  abort(flight: Flight, chunk: Chunk, index: number, reason: Error): void {
    if (chunk.abort(index, reason, monotonicMs()) && flight.thread !== undefined) {
      this.#owner.abort(flight.thread, chunk, index, reason)
    }
  }

  #look(nowMs: number): void {
    for (const flight of this.#flights) {
      for (const chunk of flight.chunks.values()) {
        chunk.reportSilentSuccesses((call, outcome) => this.#owner.report(call, outcome))
      }
      if (flight.hasUnreadable) this.#owner.settleUnreadable(flight)
      for (const { chunk, index } of flight.overdue(this.#timeoutMs, nowMs)) {
        this.abort(flight, chunk, index, timeoutError(this.#timeoutMs))
      }
      if (flight.isHopeless(this.#timeoutMs, nowMs)) flight.kill(timeoutError(this.#timeoutMs))
    }
  }
}
