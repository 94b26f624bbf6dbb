/** The loops of a run: each takes calls and has one thread run them, again and again; one that gets no calls waits for a wake-up. */
import type { Call } from './call.js'
import type { CallSupply } from './call-supply.js'
import type { PermitRequest, Semaphore } from './semaphore.js'

/** Interval at which idle loops check again for tasks that a slow thread has not begun. Milliseconds. */
const recheckMs = 10

export class Loops<T> {
  readonly #supply: CallSupply<T>
  readonly #semaphore: Semaphore
  readonly #onWake: () => void
  /** Wake-ups of idle loops. */
  #idle: (() => void)[] = []
  /** Requests of loops that wait for a permit. */
  readonly #requests = new Set<PermitRequest>()
  #awaitsSource = false
  #recheck: NodeJS.Timeout | undefined

  /** @param onWake called on each {@link wake} */
  constructor(supply: CallSupply<T>, semaphore: Semaphore, onWake: () => void) {
    this.#supply = supply
    this.#semaphore = semaphore
    this.#onWake = onWake
  }

  /**
   * Runs `count` loops; resolves when nothing is left to do and each loop has ended. An error ends the supply.
   *
   * @param take returns the next calls for a loop's thread; none: it waits
   * @param runCalls has a thread run the calls; resolves when all that it began have ended
   */
  async run(
    count: number,
    take: (loop: number) => Call[],
    runCalls: (calls: Call[], loop: number) => Promise<void>,
  ): Promise<void> {
    const runOne = async (loop: number): Promise<boolean> => {
      const calls = take(loop)
      if (calls.length > 0) await runCalls(calls, loop)
      return calls.length > 0
    }
    try {
      await Promise.all(Array.from({ length: count }, (_, loop) => this.#loop(loop, runOne)))
    } finally {
      clearTimeout(this.#recheck)
    }
  }

  /** Wakes idle loops: there may be tasks to take, or the work may be over. */
  wake(): void {
    const idle = this.#idle
    this.#idle = []
    for (const wake of idle) wake()
    this.#onWake()
    // Another run may hold the permits for hours: waiting for one must not delay the end of this run.
    if (this.#supply.isOver) for (const request of this.#requests) request.cancel()
  }

  /** Arranges a {@link wake} for when there may be something to take. */
  watch(): void {
    // Polled: no message reports that a thread has started its first task, after which its other tasks can be stolen.
    if (this.#recheck === undefined && this.#supply.hasWaiting) {
      this.#recheck = setTimeout(() => {
        this.#recheck = undefined
        this.wake()
      }, recheckMs)
    }
    // One wait for all idle loops, however often they check.
    const ready = this.#awaitsSource ? undefined : this.#supply.ready()
    if (ready === undefined) return
    this.#awaitsSource = true
    void ready.then(() => {
      this.#awaitsSource = false
      this.wake()
    })
  }

  async #loop(loop: number, runOne: (loop: number) => Promise<boolean>): Promise<void> {
    while (!this.#supply.isOver) {
      const request = this.#semaphore.acquire()
      this.#requests.add(request)
      if (!request.isGranted) {
        // Avoids a long wait for a permit only to find that nothing is left.
        this.#supply.peek()
        if (this.#supply.isOver) this.wake()
      }
      const permit = await request.permit
      this.#requests.delete(request)
      if (permit === undefined) break
      let hasRun = false
      try {
        hasRun = await runOne(loop)
      } catch (thrown) {
        this.#supply.fail(thrown)
      } finally {
        permit.release()
      }
      if (hasRun || this.#supply.isOver) continue
      const wakeUp = new Promise<void>(resolve => this.#idle.push(resolve))
      this.watch()
      await wakeUp
    }
    this.wake()
  }
}
