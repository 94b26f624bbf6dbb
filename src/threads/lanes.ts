/**
 * The lanes of a run: each takes calls and has one thread run them, again and again; one that finds nothing to take
 * waits until something changes.
 */
import type { Call } from './call.js'
import type { Entry, Gate } from './gate.js'

/** How soon an idle lane looks again for tasks that a slow thread has not begun. Milliseconds. */
const lookAgainMs = 10

/** What lanes ask of their run. */
export interface LaneWork {
  /** Nothing is left to do, in the air or to come. */
  readonly isOver: boolean
  /** Some thread has tasks that it has not begun. */
  readonly hasWaiting: boolean
  /** The next calls for this lane's thread; none: wait. */
  take(lane: number): Call[]
  /** Finds out whether the source has ended, without taking anything. */
  peek(): void
  /** Has a thread run them; resolves when all that it began have ended. */
  fly(calls: Call[], lane: number): Promise<void>
  /** Hears what {@link take} or {@link fly} throw. */
  fail(thrown: unknown): void
  /** Hears of each {@link Lanes.wake}. */
  woken(): void
  /** Resolves when the source may give something; `undefined` while nothing is to be pulled from it. */
  sourceReady(): Promise<void> | undefined
}

export class Lanes {
  readonly #work: LaneWork
  readonly #gate: Gate
  /** Idle lanes. */
  #idle: (() => void)[] = []
  /** Lanes before the gate. */
  readonly #entries = new Set<Entry>()
  #awaitsSource = false
  #look: NodeJS.Timeout | undefined

  constructor(work: LaneWork, gate: Gate) {
    this.#work = work
    this.#gate = gate
  }

  /** Runs so many lanes; resolves when the work is over and each has come to its end. */
  async run(lanes: number): Promise<void> {
    try {
      await Promise.all(Array.from({ length: lanes }, (_, lane) => this.#lane(lane)))
    } finally {
      clearTimeout(this.#look)
    }
  }

  /** Something changed: there may be tasks to take, or the work may be over. */
  wake(): void {
    const idle = this.#idle
    this.#idle = []
    for (const wake of idle) wake()
    this.#work.woken()
    // A lane that only waits for a place, which another run may hold for hours, must not hold up the end of this one.
    if (this.#work.isOver) for (const entry of this.#entries) entry.cancel()
  }

  /** Sees to it that {@link wake} is called when there may be something to take. */
  watch(): void {
    // Nobody tells when a thread begins its first task, and so may be stolen from.
    if (this.#look === undefined && this.#work.hasWaiting) {
      this.#look = setTimeout(() => {
        this.#look = undefined
        this.wake()
      }, lookAgainMs)
    }
    // One wait for all that are idle, however often they look.
    const ready = this.#awaitsSource ? undefined : this.#work.sourceReady()
    if (ready === undefined) return
    this.#awaitsSource = true
    void ready.then(() => {
      this.#awaitsSource = false
      this.wake()
    })
  }

  async #lane(lane: number): Promise<void> {
    while (!this.#work.isOver) {
      const entry = this.#gate.enter()
      this.#entries.add(entry)
      if (!entry.isOpen) {
        // Another run may hold the place for long: this one should not wait for it only to find that nothing is left.
        this.#work.peek()
        if (this.#work.isOver) this.wake()
      }
      const pass = await entry.pass
      this.#entries.delete(entry)
      if (pass === undefined) break
      let calls: Call[] = []
      try {
        calls = this.#work.take(lane)
        if (calls.length > 0) await this.#work.fly(calls, lane)
      } catch (thrown) {
        this.#work.fail(thrown)
      } finally {
        pass.leave()
      }
      if (calls.length > 0 || this.#work.isOver) continue
      const woken = new Promise<void>(resolve => this.#idle.push(resolve))
      this.watch()
      await woken
    }
    this.wake()
  }
}
