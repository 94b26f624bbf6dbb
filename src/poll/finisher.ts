/** Removes finished tasks from the queue, at once and in batches: as many as end while the last batch is on its way. */
import { LeaseLostError } from '../errors/errors.js'
import type { LeasedTask } from '../queue/queued-task.js'
import type { Patience } from './patience.js'
import { isBackoffException } from './poll-options.js'
import type { WorkerParts } from './worker-parts.js'

/** Completions are counted once a batch: who is killed between a removal and its count leaves so many uncounted at most. */
const talliedBatch = 100

/** A task that ran to its end. */
export interface Finished {
  readonly task: LeasedTask
  readonly value: unknown
  readonly durationSeconds: number
}

/** What a {@link Finisher} tells its worker. None of it may throw. */
export interface FinisherOwner {
  /** It is being removed; until then its lease is kept. */
  onDeleting(task: LeasedTask): void
  /** It could not be removed yet: its lease is kept until that is tried again. */
  onPutOff(task: LeasedTask): void
  /** That is tried again. */
  onAgain(task: LeasedTask): void
  onRemoved(finished: Finished): void
  onLost(task: LeasedTask, error: LeaseLostError): void
  /** The queue could not remove it. */
  onFault(task: LeasedTask, error: unknown): void
  /** Everything that was finished is removed. */
  onIdle(): void
}

export class Finisher {
  readonly #parts: WorkerParts
  readonly #patience: Patience
  readonly #owner: FinisherOwner
  readonly #batchSize: number
  readonly #finished: Finished[] = []
  /** Those that could not be removed yet. */
  readonly #putOff = new Set<LeasedTask>()
  /** How many tasks are finished and not yet removed. */
  pending = 0
  #working: Promise<void> | undefined

  constructor(parts: WorkerParts, patience: Patience, owner: FinisherOwner) {
    this.#parts = parts
    const isCounted = parts.settings.tally && parts.backend.capabilities.counters
    this.#batchSize = isCounted ? talliedBatch : Number.POSITIVE_INFINITY
    this.#patience = patience
    this.#owner = owner
  }

  add(finished: Finished): void {
    this.#finished.push(finished)
    this.pending++
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
      const batch = { left: this.#finished.splice(0, this.#batchSize) }
      for (const { task } of batch.left) this.#owner.onDeleting(task)
      try {
        await this.#patience.call(() => this.#remove(batch))
      } catch (error) {
        for (const { task } of batch.left) {
          this.pending--
          this.#putOff.delete(task)
          this.#owner.onFault(task, error)
        }
      }
    }
    this.#working = undefined
    this.#owner.onIdle()
  }

  /** Removes what is left of a batch. @throws an error that is to be waited out */
  async #remove(batch: { left: readonly Finished[] }): Promise<void> {
    const { backend, leasing, settings } = this.#parts
    const entries = batch.left
    for (const { task } of entries) if (this.#putOff.delete(task)) this.#owner.onAgain(task)
    const tasks = entries.map(({ task }) => task)
    const failed = await leasing.delete(backend, tasks, { tally: settings.tally })
    const left: Finished[] = []
    let later: Error | undefined
    for (const finished of entries) {
      const error = failed.get(finished.task)
      if (error !== undefined && isBackoffException(error, settings.backoffExceptions)) {
        later = error
        left.push(finished)
        this.#putOff.add(finished.task)
        this.#owner.onPutOff(finished.task)
        continue
      }
      this.pending--
      if (error === undefined) this.#owner.onRemoved(finished)
      else if (error instanceof LeaseLostError) this.#owner.onLost(finished.task, error)
      else this.#owner.onFault(finished.task, error)
    }
    batch.left = left
    if (later !== undefined) throw later
  }
}
