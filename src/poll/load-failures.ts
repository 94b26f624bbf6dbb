/** Counts failures to load the file of a task: a fault of the worker or its machine, so no attempt is counted. */

import type { Call, FailedOutcome } from '../threads/call.js'
import { reasonOf } from './failure-reason.js'
import type { HeldTasks } from './held-tasks.js'

/** Failed threads in a row after which a worker that runs nothing else ends: about a minute with the default back-off. */
const maxFailuresInRow = 7

/**
 * If the queue is too long to see its end, a worker that released this number of tasks of such files, and ran no other,
 * ends too. Each lease request reaches further than the one before: the largest one, of 4,096 tasks, twice.
 */
const maxReleased = 10_000

export class LoadFailures {
  /** By file: number of load failures before the last task that ran. */
  readonly #before = new Map<string, number>()
  readonly #warned = new Set<string>()
  /** Since the last task that ran. */
  #sawEnd = false
  #released = 0

  /** Records that a lease request returned fewer tasks than requested: no other task waits in the queue. */
  sawEnd(): void {
    this.#sawEnd = true
  }

  /**
   * Records a failure. Returns the error to end the worker with, if it can run nothing else.
   * @param held the tasks that the worker still has
   */
  add({ code: { url = '' } }: Call, { error, notLoaded }: FailedOutcome, held: HeldTasks): Error | undefined {
    // Earlier requests say nothing about tasks that came since.
    if (this.#before.size === 0) this.#sawEnd = false
    this.#released++
    const failures = notLoaded?.failures ?? 0
    if (!this.#warned.has(url)) {
      this.#warned.add(url)
      process.emitWarning(
        `Tasks of ${url} are released, and no attempt is counted, until a new thread can load it: ${reasonOf(error)}`,
        { code: 'PTQ_NOT_LOADED' },
      )
    }
    const before = this.#before.get(url) ?? failures - 1
    this.#before.set(url, before)
    if (failures - before < maxFailuresInRow) return undefined
    // The speed at which threads fail says nothing about other tasks in the queue.
    if (!this.#sawEnd && this.#released < maxReleased) return undefined
    if (held.hasOtherThan(url)) return undefined
    return new Error(
      `Expected to run tasks of ${url}, but ${failures - before} new threads in a row could not load it, and no other task ` +
        `ran in that time; they are still in the queue. Fix the file and start the worker again: ${reasonOf(error)}`,
      { cause: error },
    )
  }

  /** Called when a task ran: failures are counted from 0 again. */
  ran({ code }: Call): void {
    if (this.#warned.size === 0) return
    this.#before.clear()
    this.#sawEnd = false
    this.#released = 0
    this.#warned.delete(code.url ?? '')
  }
}
