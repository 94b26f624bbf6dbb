/**
 * Tasks whose last attempt ended without a word: the worker died, perhaps of them. Each death counts an attempt of every
 * task that the worker had leased, so a poison task would take its neighbours along to the dead letters. Therefore a
 * worker has few suspects at a time, the fewer the more attempts they had, and one alone in its last two attempts: what
 * is no poison succeeds then.
 */
import type { Backend } from '../backend.js'
import type { LeasedTask } from '../queue/queued-task.js'

/** With one attempt less, so many times more suspects may be held at once. */
const growth = 8

export class Suspects {
  readonly #backend: Backend
  readonly #maxAttempts: number
  readonly #current = new Set<LeasedTask>()
  /** Those of the last look that have to wait. */
  #left: LeasedTask[] = []
  /** How many tasks the next look may ask for: few while most are suspects, which are leased in vain. */
  #limit = Number.POSITIVE_INFINITY

  constructor(backend: Backend, maxAttempts: number) {
    this.#backend = backend
    this.#maxAttempts = maxAttempts
  }

  /** Those of the last look that have to be given back. */
  get left(): readonly LeasedTask[] {
    return this.#left
  }

  /** How many tasks to ask for. */
  limit(max: number): number {
    return Math.min(max, this.#limit)
  }

  /** Begins anew for what a look brought. */
  newLook(): void {
    this.#left = []
  }

  /** Learns from a look that brought so many tasks. */
  endLook(tasks: number): void {
    this.#limit = this.#left.length * 2 > tasks ? Math.max(1, tasks >> 1) : this.#limit * 2
  }

  /** Whether a task that is not at its first attempt may be run now. */
  async admit(task: LeasedTask): Promise<boolean> {
    const { capabilities } = this.#backend
    // Where releases count, giving suspects back would be counted too; without a history each second attempt is suspect.
    if (!capabilities.history || capabilities.uncountedReleases === false) return true
    const failures = (await this.#backend.failures?.(task)) ?? []
    if (failures.length >= task.attempt - 1) return true
    let most = this.#mostWith(task)
    for (const suspect of this.#current) most = Math.min(most, this.#mostWith(suspect))
    if (this.#current.size >= most) {
      this.#left.push(task)
      return false
    }
    this.#current.add(task)
    return true
  }

  /** Notes that a task is held no more; true if it was the last suspect. */
  ended(task: LeasedTask): boolean {
    return this.#current.delete(task) && this.#current.size === 0
  }

  /** Whether some have to wait for the end of others. */
  get mustWait(): boolean {
    return this.#left.length > 0 && this.#current.size > 0
  }

  /** Whether some had to wait, and need not any more. */
  mayTakeLeft(): boolean {
    const may = this.#left.length > 0 && this.#current.size === 0
    if (may) this.#left = []
    return may
  }

  /** How many suspects may be held at once, this one among them. */
  #mostWith({ attempt }: LeasedTask): number {
    return growth ** Math.max(0, this.#maxAttempts - 1 - attempt)
  }
}
