/** The leased tasks of a worker that have not ended; their leases are renewed. */

import type { LeaseKeeper } from '../queue/lease-keeper.js'
import { type LeasedTask, leasedMessage, PackedTask } from '../queue/queued-task.js'
import type { Call } from '../threads/call.js'

/** Why a task was aborted: its lease is lost, or the worker stops and releases it. */
export type AbortCause = 'lease-lost' | 'shutdown'

export class HeldTasks {
  readonly #keeper: LeaseKeeper<LeasedTask>
  /** The tasks, each with its call once that is made. */
  readonly #calls = new Map<LeasedTask, Call | undefined>()
  readonly #abortCauses = new Map<LeasedTask, AbortCause>()
  #packed = 0

  constructor(keeper: LeaseKeeper<LeasedTask>) {
    this.#keeper = keeper
  }

  get size(): number {
    return this.#calls.size
  }

  /** The number of tasks with a lease of their own: those of packs have none. */
  get leases(): number {
    return this.#calls.size - this.#packed
  }

  /** A copy, in lease order. */
  get all(): LeasedTask[] {
    return [...this.#calls.keys()]
  }

  has(task: LeasedTask): boolean {
    return this.#calls.has(task)
  }

  callOf(task: LeasedTask): Call | undefined {
    return this.#calls.get(task)
  }

  /** True if a held task may run code of another file than `url`. */
  hasOtherThan(url: string): boolean {
    for (const call of this.#calls.values()) if (call?.code.url !== url) return true
    return false
  }

  /** Adds tasks that were just leased. */
  add(tasks: readonly LeasedTask[]): void {
    for (const task of tasks) {
      this.#calls.set(task, undefined)
      // The lease of a pack is kept as long as any of its tasks is held.
      if (task instanceof PackedTask) this.#packed++
      else this.#keeper.keep(task)
    }
  }

  setCall(task: LeasedTask, call: Call): void {
    this.#calls.set(task, call)
  }

  /** Records a renewal by the task itself, to end `seconds` from now; the task may have ended since. */
  renewed(task: LeasedTask, seconds: number): void {
    if (this.#calls.has(task)) this.#keeper.keep(leasedMessage(task), seconds)
  }

  /** Marks a task as aborted: its result is discarded. A lost lease is not overwritten. */
  setAbortCause(task: LeasedTask, cause: AbortCause): void {
    if (this.#abortCauses.get(task) !== 'lease-lost') this.#abortCauses.set(task, cause)
  }

  abortCauseOf(task: LeasedTask): AbortCause | undefined {
    return this.#abortCauses.size === 0 ? undefined : this.#abortCauses.get(task)
  }

  /**
   * Removes a task. False if it was not held.
   * @param options.keepLease keep renewing the lease until the keeper drops it. Default false
   */
  drop(task: LeasedTask, { keepLease = false } = {}): boolean {
    const isPacked = task instanceof PackedTask
    if (!keepLease && !isPacked) this.#keeper.drop(task)
    if (this.#abortCauses.size > 0) this.#abortCauses.delete(task)
    if (!this.#calls.delete(task)) return false
    if (isPacked) this.#packed--
    return true
  }
}
