/**
 * Finds leases that ended although their worker renewed them in time: it was neither stopped nor delayed, its server was
 * there, and nobody released all leases. A worker that timed its renewals by a jumping wall clock would be found. In the order of the
 * ledger.
 */
import { faultyTasks } from './faulty-tasks.js'
import type { LedgerVerb } from './ledger.js'

export class HeldLeases {
  /**
   * Times at which each worker recorded a lease of a task: it may lease one again before it learns that the first lease
   * is lost.
   */
  readonly #held = new Map<string, number[]>()
  /** Times at which each worker was last stopped or delayed. */
  readonly #delayed = new Map<number, number>()
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
  read(verb: LedgerVerb, processNumber: number, what: readonly string[]): boolean {
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
    if (verb === 'held') for (const key of what) this.#hold(`${processNumber} ${key}`)
    if (verb === 'lost' || verb === 'done' || verb === 'failed' || verb === 'dead')
      for (const key of what) this.#end(verb, processNumber, key)
    const isOfServer = verb === 'serverEnded' || verb === 'serverBack'
    return isOfServer || verb === 'releasing' || verb === 'released' || verb === 'delayed'
  }

  #hold(lease: string): void {
    const times = this.#held.get(lease)
    if (times === undefined) this.#held.set(lease, [this.#now])
    else times.push(this.#now)
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
