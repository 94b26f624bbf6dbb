/**
 * Finds leases that ended although their worker renewed them in time: it was neither stopped nor delayed, its server was
 * there, and no process released all leases. A worker that timed its renewals by a jumping wall clock would be found. In the order of the
 * ledger.
 */
import { faultyTasks } from './faulty-tasks.js'
import type { LedgerVerb } from './ledger.js'

/**
 * Leases that were on their way to a process while it stood still are recorded within this time after `delayed`, but
 * their time began before that. Short, so that few leases go unchecked.
 */
const RECEIVED_LATE_MS = 500

export class HeldLeases {
  /**
   * Times at which each worker recorded a lease of a task: it may lease one again before it learns that the first lease
   * is lost.
   */
  readonly #held = new Map<string, number[]>()
  /** Times at which each worker was last stopped or delayed. */
  readonly #delayed = new Map<number, number>()
  /** When each worker last recorded a delay, in milliseconds. */
  readonly #delayedMs = new Map<number, number>()
  readonly #lost: string[] = []
  /** Each `ptq release` that is running, and when the last one ended. */
  readonly #releasing = new Set<number>()
  #released = Number.NEGATIVE_INFINITY
  /** No lease can be renewed while the server is away, and leases end by its clock. */
  #isServerAway = false
  #serverBack = Number.NEGATIVE_INFINITY
  #now = 0

  get faults(): readonly string[] {
    if (this.#lost.length === 0) return []
    return [faultyTasks(this.#lost, 'leases were lost by workers that were neither stopped nor held up')]
  }

  /** @returns whether the line is about leases alone */
  read(verb: LedgerVerb, processNumber: number, what: readonly string[], timeMs?: number): boolean {
    this.#now++
    if (verb === 'releasing') this.#releasing.add(processNumber)
    if (verb === 'released') {
      this.#releasing.delete(processNumber)
      this.#released = this.#now
    }
    if (verb === 'serverEnded') this.#isServerAway = true
    if (verb === 'serverBack') {
      this.#isServerAway = false
      this.#serverBack = this.#now
    }
    // It may also be late after SIGCONT, and records that.
    if (verb === 'SIGSTOP' || verb === 'delayed') this.#delayed.set(processNumber, this.#now)
    if (verb === 'delayed' && timeMs !== undefined) this.#delayedMs.set(processNumber, timeMs)
    if (verb === 'held') {
      const sinceWhen = this.#leasedWhen(processNumber, timeMs)
      for (const key of what) this.#hold(`${processNumber} ${key}`, sinceWhen)
    }
    if (verb === 'lost' || verb === 'done' || verb === 'failed' || verb === 'dead')
      for (const key of what) this.#end(verb, processNumber, key)
    const isOfServer = verb === 'serverEnded' || verb === 'serverBack'
    return isOfServer || verb === 'releasing' || verb === 'released' || verb === 'delayed'
  }

  /** @returns the place in the ledger before the worker's delay if the lease may be from before it */
  #leasedWhen(processNumber: number, timeMs?: number): number {
    const delayed = this.#delayed.get(processNumber)
    const delayedMs = this.#delayedMs.get(processNumber)
    if (delayed === undefined || delayedMs === undefined || timeMs === undefined) return this.#now
    return timeMs - delayedMs <= RECEIVED_LATE_MS ? delayed - 1 : this.#now
  }

  #hold(lease: string, sinceWhen: number): void {
    const times = this.#held.get(lease)
    if (times === undefined) this.#held.set(lease, [sinceWhen])
    else times.push(sinceWhen)
  }

  #end(verb: LedgerVerb, processNumber: number, key: string): void {
    const times = this.#held.get(`${processNumber} ${key}`) ?? []
    // The first one is lost first; what is removed is held by the last.
    const sinceWhen = verb === 'lost' ? times.shift() : times.pop()
    if (times.length === 0) this.#held.delete(`${processNumber} ${key}`)
    if (verb !== 'lost' || sinceWhen === undefined) return
    if (this.#releasing.size > 0 || this.#released > sinceWhen || (this.#delayed.get(processNumber) ?? 0) > sinceWhen)
      return
    if (this.#isServerAway || this.#serverBack > sinceWhen) return
    this.#lost.push(key)
  }
}
