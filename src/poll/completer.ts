/** Removes finished tasks from the queue, at once and in batches: as many as end while the last batch is on its way. */
import { LeaseLostError } from '../errors/errors.js'
import type { LeasedTask } from '../queue/queued-task.js'
import { isBackoffException } from './poll-options.js'
import type { QueueRetries } from './queue-retries.js'
import type { WorkerParts } from './worker-parts.js'

/** Completions are counted once a batch: who is killed between a removal and its count leaves so many uncounted at most. */
const maxTallyBatch = 100

/** A task that ran to its end. */
export interface Completed {
  readonly task: LeasedTask
  readonly value: unknown
  readonly durationSeconds: number
}

/** What a {@link Completer} tells its worker. None of it may throw. */
export interface CompleterCallbacks {
  /** It is being removed; until then its lease is kept. */
  onDeleting(task: LeasedTask): void
  /** It could not be removed yet: its lease is kept until that is tried again. */
  onRetryLater(task: LeasedTask): void
  /** That is tried again. */
  onRetry(task: LeasedTask): void
  onRemoved(completed: Completed): void
  onLost(task: LeasedTask, error: LeaseLostError): void
  /** The queue could not remove it. */
  onFault(task: LeasedTask, error: unknown): void
  /** Everything that was finished is removed. */
  onIdle(): void
}

export class Completer {
  readonly #parts: WorkerParts
  readonly #retries: QueueRetries
  readonly #callbacks: CompleterCallbacks
  readonly #batchSize: number
  readonly #completed: Completed[] = []
  /** Those that could not be removed yet. */
  readonly #retrying = new Set<LeasedTask>()
  /** How many tasks are finished and not yet removed. */
  pending = 0
  #working: Promise<void> | undefined

  constructor(parts: WorkerParts, retries: QueueRetries, callbacks: CompleterCallbacks) {
    this.#parts = parts
    const isCounted = parts.settings.tally && parts.backend.capabilities.counters
    this.#batchSize = isCounted ? maxTallyBatch : Number.POSITIVE_INFINITY
    this.#retries = retries
    this.#callbacks = callbacks
  }

  add(completed: Completed): void {
    this.#completed.push(completed)
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
    while (this.#completed.length > 0) {
      const batch = { left: this.#completed.splice(0, this.#batchSize) }
      for (const { task } of batch.left) this.#callbacks.onDeleting(task)
      try {
        await this.#retries.retryWithBackoff(() => this.#remove(batch))
      } catch (error) {
        for (const { task } of batch.left) {
          this.pending--
          this.#retrying.delete(task)
          this.#callbacks.onFault(task, error)
        }
      }
    }
    this.#working = undefined
    this.#callbacks.onIdle()
  }

  /** Removes what is left of a batch. @throws an error that is to be waited out */
  async #remove(batch: { left: readonly Completed[] }): Promise<void> {
    const { backend, leasing, settings } = this.#parts
    const entries = batch.left
    for (const { task } of entries) if (this.#retrying.delete(task)) this.#callbacks.onRetry(task)
    const tasks = entries.map(({ task }) => task)
    const failed = await leasing.delete(backend, tasks, { tally: settings.tally })
    const left: Completed[] = []
    let later: Error | undefined
    for (const completed of entries) {
      const error = failed.get(completed.task)
      if (error !== undefined && isBackoffException(error, settings.backoffExceptions)) {
        later = error
        left.push(completed)
        this.#retrying.add(completed.task)
        this.#callbacks.onRetryLater(completed.task)
        continue
      }
      this.pending--
      if (error === undefined) this.#callbacks.onRemoved(completed)
      else if (error instanceof LeaseLostError) this.#callbacks.onLost(completed.task, error)
      else this.#callbacks.onFault(completed.task, error)
    }
    batch.left = left
    if (later !== undefined) throw later
  }
}
