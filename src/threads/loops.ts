/** The loops of a run: each takes calls and has one thread run them, again and again; one that gets no calls waits for a wake-up. */
import type { Call } from './call.js'
import type { PermitRequest, Semaphore } from './semaphore.js'

/** Interval at which idle loops check again for tasks that a slow thread has not begun. Milliseconds. */
const recheckMs = 10

/** The work of the loops, done by their run. */
export interface LoopWork {
  /** True if nothing is left to do, running or to come. */
  readonly isOver: boolean
  /** True if some thread has tasks that it has not begun. */
  readonly hasWaiting: boolean
  /** The next calls for this loop's thread; none: wait. */
  take(loop: number): Call[]
  /** Finds out whether the source has ended, without taking anything. */
  peek(): void
  /** Has a thread run the calls; resolves when all that it began have ended. */
  run(calls: Call[], loop: number): Promise<void>
  /** Called with what {@link take} or {@link run} throw. */
  fail(thrown: unknown): void
  /** Called on each {@link Loops.wake}. */
  onWake(): void
  /** Resolves when the source may have tasks; `undefined` while nothing is to be pulled from it. */
  sourceReady(): Promise<void> | undefined
}

export class Loops {
  readonly #work: LoopWork
  readonly #semaphore: Semaphore
  /** Wake-ups of idle loops. */
  #idle: (() => void)[] = []
  /** Requests of loops that wait for a permit. */
  readonly #requests = new Set<PermitRequest>()
  #awaitsSource = false
  #recheck: NodeJS.Timeout | undefined

  constructor(work: LoopWork, semaphore: Semaphore) {
    this.#work = work
    this.#semaphore = semaphore
  }

  /** Runs `count` loops; resolves when the work is over and each loop has ended. */
  async run(count: number): Promise<void> {
    try {
      await Promise.all(Array.from({ length: count }, (_, loop) => this.#loop(loop)))
    } finally {
      clearTimeout(this.#recheck)
    }
  }

  /** Wakes idle loops: there may be tasks to take, or the work may be over. */
  wake(): void {
    const idle = this.#idle
    this.#idle = []
    for (const wake of idle) wake()
    this.#work.onWake()
    // Another run may hold the permits for hours: waiting for one must not delay the end of this run.
    if (this.#work.isOver) for (const request of this.#requests) request.cancel()
  }

  /** Arranges a {@link wake} for when there may be something to take. */
  watch(): void {
    // Polled: no message reports that a thread has started its first task, after which its other tasks can be stolen.
    if (this.#recheck === undefined && this.#work.hasWaiting) {
      this.#recheck = setTimeout(() => {
        this.#recheck = undefined
        this.wake()
      }, recheckMs)
    }
    // One wait for all idle loops, however often they check.
    const ready = this.#awaitsSource ? undefined : this.#work.sourceReady()
    if (ready === undefined) return
    this.#awaitsSource = true
    void ready.then(() => {
      this.#awaitsSource = false
      this.wake()
    })
  }

  async #loop(loop: number): Promise<void> {
    while (!this.#work.isOver) {
      const request = this.#semaphore.acquire()
      this.#requests.add(request)
      if (!request.isGranted) {
        // Avoids a long wait for a permit only to find that nothing is left.
        this.#work.peek()
        if (this.#work.isOver) this.wake()
      }
      const permit = await request.permit
      this.#requests.delete(request)
      if (permit === undefined) break
      let calls: Call[] = []
      try {
        calls = this.#work.take(loop)
        if (calls.length > 0) await this.#work.run(calls, loop)
      } catch (thrown) {
        this.#work.fail(thrown)
      } finally {
        permit.release()
      }
      if (calls.length > 0 || this.#work.isOver) continue
      const wakeUp = new Promise<void>(resolve => this.#idle.push(resolve))
      this.watch()
      await wakeUp
    }
    this.wake()
  }
}
