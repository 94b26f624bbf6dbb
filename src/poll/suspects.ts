/**
 * Tasks whose last attempt ended without a word: the worker died, perhaps of them. Each death counts an attempt of every
 * task that the worker had leased, so a poison task would take its neighbours along to the dead letters. Therefore a
 * worker has one suspect at a time: what is leased together with a poison task once is not together with it again.
 */
import type { Backend } from '../backend.js'
import type { LeasedTask } from '../queued-task.js'

export class Suspects {
  readonly #backend: Backend
  readonly #isHeld: (task: LeasedTask) => boolean
  #current: LeasedTask | undefined
  /** Those of the last look that have to wait. */
  #left: LeasedTask[] = []
  /** How many tasks the next look may ask for: few while there are suspects, which are leased in vain. */
  #limit = Number.POSITIVE_INFINITY

  constructor(backend: Backend, isHeld: (task: LeasedTask) => boolean) {
    this.#backend = backend
    this.#isHeld = isHeld
  }

  /** Those of the last look that have to be given back. */
  get left(): readonly LeasedTask[] {
    return this.#left
  }

  /** How many tasks to ask for. */
  limit(max: number): number {
    return Math.min(max, this.#limit)
  }

  /** Begins anew for what a look brought; it asked for twice as much as the last one unless that met a suspect. */
  newLook(): void {
    this.#left = []
    this.#limit *= 2
  }

  /** Whether a task that is not at its first attempt may be run now. */
  async admit(task: LeasedTask): Promise<boolean> {
    const { capabilities } = this.#backend
    // Where releases count, giving suspects back would be counted too; without a history each second attempt is suspect.
    if (!capabilities.history || capabilities.uncountedReleases === false) return true
    const failures = (await this.#backend.failures?.(task)) ?? []
    if (failures.length >= task.attempt - 1) return true
    this.#limit = 1
    if (this.#isBusy) {
      this.#left.push(task)
      return false
    }
    this.#current = task
    return true
  }

  /** Notes that a task is held no more; true if it was the suspect. */
  ended(task: LeasedTask): boolean {
    if (task !== this.#current) return false
    this.#current = undefined
    return true
  }

  /** Whether some had to wait, and need not any more. */
  mayTakeLeft(): boolean {
    const waited = this.#left.length > 0 && !this.#isBusy
    if (waited) this.#left = []
    return waited
  }

  get #isBusy(): boolean {
    return this.#current !== undefined && this.#isHeld(this.#current)
  }
}
