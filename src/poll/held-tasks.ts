/** The leased tasks of a worker that have not ended: their leases are kept. */

import type { LeaseKeeper } from '../queue/lease-keeper.js'
import type { LeasedTask } from '../queue/queued-task.js'
import type { Call } from '../threads/call.js'

/** Why a task was asked to end: its lease is lost, or the worker stops and gives it back. */
export type AbortCause = 'lease-lost' | 'shutdown'

export class HeldTasks {
  readonly #keeper: LeaseKeeper<LeasedTask>
  /** With the call that each was made into. */
  readonly #calls = new Map<LeasedTask, Call | undefined>()
  readonly #abortCauses = new Map<LeasedTask, AbortCause>()

  constructor(keeper: LeaseKeeper<LeasedTask>) {
    this.#keeper = keeper
  }

  get size(): number {
    return this.#calls.size
  }

  /** A copy, in the order in which they came. */
  get all(): LeasedTask[] {
    return [...this.#calls.keys()]
  }

  has(task: LeasedTask): boolean {
    return this.#calls.has(task)
  }

  /** The call that a task was made into. */
  callOf(task: LeasedTask): Call | undefined {
    return this.#calls.get(task)
  }

  /** Tasks that were just leased. */
  add(tasks: readonly LeasedTask[]): void {
    for (const task of tasks) {
      this.#calls.set(task, undefined)
      this.#keeper.keep(task)
    }
  }

  setCall(task: LeasedTask, call: Call): void {
    this.#calls.set(task, call)
  }

  /** Somebody renewed the lease to end `seconds` from now; the task may have ended meanwhile. */
  renewed(task: LeasedTask, seconds: number): void {
    if (this.#calls.has(task)) this.#keeper.keep(task, seconds)
  }

  /** Notes that a task was asked to end: what it still does counts for nothing. What is lost stays lost. */
  setAbortCause(task: LeasedTask, cause: AbortCause): void {
    if (this.#abortCauses.get(task) !== 'lease-lost') this.#abortCauses.set(task, cause)
  }

  /** Why the task was asked to end, if it was. */
  abortCauseOf(task: LeasedTask): AbortCause | undefined {
    return this.#abortCauses.get(task)
  }

  /**
   * Held no more. False if it was not.
   * @param options.keepLease its lease is still renewed, until somebody drops it. Default false
   */
  drop(task: LeasedTask, { keepLease = false } = {}): boolean {
    if (!keepLease) this.#keeper.drop(task)
    this.#abortCauses.delete(task)
    return this.#calls.delete(task)
  }
}
