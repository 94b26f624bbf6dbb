/** Counts failures to load the file of a task: a fault of the worker or its machine, so no attempt is counted. */

import type { Call, FailedOutcome } from '../threads/call.js'
import type { RunningCall } from '../threads/run-options.js'
import { reasonOf } from './failure-policy.js'

/** Failed threads in a row after which a worker that runs nothing else ends: about a minute with the default back-off. */
const maxFailuresInRow = 7

export class LoadFailures {
  /** By file: number of load failures before the last task that ran. */
  readonly #before = new Map<string, number>()
  readonly #warned = new Set<string>()

  /**
   * Records a failure. Returns the error to end the worker with, if it can run nothing else.
   * @param running the calls that its threads run now
   */
  add(
    { code: { url = '' } }: Call,
    { error, notLoaded }: FailedOutcome,
    running: readonly RunningCall[],
  ): Error | undefined {
    const failures = notLoaded?.failures ?? 0
    if (!this.#warned.has(url)) {
      this.#warned.add(url)
      process.emitWarning(
        `Tasks of ${url} are given back, and no attempt is counted, until a new thread can load it: ${reasonOf(error)}`,
        { code: 'PTQ_NOT_LOADED' },
      )
    }
    const before = this.#before.get(url) ?? failures - 1
    this.#before.set(url, before)
    if (failures - before < maxFailuresInRow || running.some(({ call }) => call.code.url !== url)) return undefined
    return new Error(
      `Expected to run tasks of ${url}, but ${failures - before} new threads in a row could not load it, and no other task ` +
        `ran in that time; they are still in the queue. Fix the file and start the worker again: ${reasonOf(error)}`,
      { cause: error },
    )
  }

  /** Called when a task ran: failures are counted from 0 again. */
  ran({ code: { url = '' } }: Call): void {
    if (this.#warned.size === 0) return
    this.#before.clear()
    this.#warned.delete(url)
  }
}
