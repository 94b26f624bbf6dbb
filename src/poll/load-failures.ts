/** Tasks whose file can't be loaded in this worker's threads: the worker is to blame, or its machine, and not the task. */

import type { Call, FailedOutcome } from '../threads/call.js'
import type { RunningCall } from '../threads/run-options.js'
import { reasonOf } from './failure-policy.js'

/** A worker that could run nothing else ends after so many threads: with the default windows that is after a minute. */
const maxFailuresInRow = 7

export class LoadFailures {
  /** By file: how often it had failed to load before the last task that ran. */
  readonly #before = new Map<string, number>()
  readonly #warned = new Set<string>()

  /**
   * A task could not be loaded. Returns the error that the worker is to end with, if it can run nothing else.
   * @param running what its threads run now
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
        `ran meanwhile; they are still in the queue. Mend the file and start the worker again: ${reasonOf(error)}`,
      { cause: error },
    )
  }

  /** A task ran. */
  ran({ code: { url = '' } }: Call): void {
    if (this.#warned.size === 0) return
    this.#before.clear()
    this.#warned.delete(url)
  }
}
