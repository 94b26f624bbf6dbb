/** Removes finished tasks from the queue, at once and in batches: as many as end while the last batch is on its way. */
import type { Backend } from '../backend.js'
import { LeaseLostError } from '../errors.js'
import type { Leasing } from '../leasing.js'
import type { LeasedTask } from '../queued-task.js'

/** A task that ran to its end. */
export interface Finished {
  readonly task: LeasedTask
  readonly value: unknown
  readonly durationSeconds: number
}

/** What a {@link Finisher} tells its worker. */
export interface FinisherOwner {
  onDeleting(task: LeasedTask): void
  /** Removed; awaited before the next. */
  onRemoved(finished: Finished): unknown
  onLost(task: LeasedTask, error: LeaseLostError): void
  /** The queue could not remove it, or `onRemoved` threw. */
  onFault(error: unknown): void
  /** Everything that was finished is removed. */
  onIdle(): void
}

export class Finisher {
  readonly #backend: Backend
  readonly #leasing: Leasing
  readonly #tally: boolean
  readonly #owner: FinisherOwner
  #finished: Finished[] = []
  #working: Promise<void> | undefined

  constructor(backend: Backend, leasing: Leasing, options: { tally: boolean }, owner: FinisherOwner) {
    this.#backend = backend
    this.#leasing = leasing
    this.#tally = options.tally
    this.#owner = owner
  }

  /** How many tasks are finished and not yet removed. */
  get pending(): number {
    return this.#finished.length + (this.#working === undefined ? 0 : 1)
  }

  add(finished: Finished): void {
    this.#finished.push(finished)
    this.#working ??= this.#work()
  }

  /** Resolves when everything that was finished is removed. */
  async done(): Promise<void> {
    await this.#working
  }

  async #work(): Promise<void> {
    // In a later turn: what ends in this one goes in the same batch.
    await new Promise<void>(resolve => setImmediate(resolve))
    while (this.#finished.length > 0) {
      const batch = this.#finished
      this.#finished = []
      try {
        await this.#remove(batch)
      } catch (error) {
        this.#owner.onFault(error)
      }
    }
    this.#working = undefined
    this.#owner.onIdle()
  }

  async #remove(batch: readonly Finished[]): Promise<void> {
    for (const { task } of batch) this.#owner.onDeleting(task)
    const tasks = batch.map(({ task }) => task)
    const failed = await this.#leasing.delete(this.#backend, tasks, { tally: this.#tally })
    for (const finished of batch) {
      const error = failed.get(finished.task)
      if (error === undefined) {
        const done = this.#owner.onRemoved(finished)
        if (done instanceof Promise) await done
      } else if (error instanceof LeaseLostError) this.#owner.onLost(finished.task, error)
      else this.#owner.onFault(error)
    }
  }
}
