/** Deletes completed tasks from the queue in batches: a batch holds the tasks that ended while the previous one was sent. */
import { LeaseLostError } from '../errors/errors.js'
import type { LeasedTask } from '../queue/queued-task.js'
import { isBackoffException } from './poll-options.js'
import type { QueueRetries } from './queue-retries.js'
import type { WorkerParts } from './worker-parts.js'

/** Largest batch with `tally`: completions are counted once per batch, and a kill between deletion and count loses that count. */
const maxTallyBatch = 100

/** A task that ran to its end. */
export interface Completed {
  readonly task: LeasedTask
  readonly value: unknown
  readonly durationSeconds: number
}

/** Callbacks of a {@link Completer}; none may throw. */
export interface CompleterCallbacks {
  /** The deletion starts: the lease need not be renewed any more. */
  onDeleting(task: LeasedTask): void
  /** The deletion failed and will be retried: the lease must be renewed until then. */
  onRetryLater(task: LeasedTask): void
  /** The deletion is retried now. */
  onRetry(task: LeasedTask): void
  onRemoved(completed: Completed): void
  onLost(task: LeasedTask, error: LeaseLostError): void
  /** The queue could not delete the task. */
  onFault(task: LeasedTask, error: unknown): void
  /** No completed task is left. */
  onIdle(): void
}

export class Completer {
  readonly #parts: WorkerParts
  readonly #retries: QueueRetries
  readonly #callbacks: CompleterCallbacks
  readonly #batchSize: number
  readonly #completed: Completed[] = []
  /** Tasks whose deletion will be retried. */
  readonly #retrying = new Set<LeasedTask>()
  /** Number of completed tasks that are not deleted yet. */
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

  /** Resolves when all completed tasks are deleted and counted. */
  async done(): Promise<void> {
    await this.#working
    await this.#parts.backend.tallyDeleted?.()
  }

  async #work(): Promise<void> {
    // In a later turn of the event loop: tasks that end in this one join the batch.
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

  /** Deletes the rest of a batch. @throws an error that `backoffExceptions` names */
  async #remove(batch: { left: readonly Completed[] }): Promise<void> {
    const { backend, leasing, settings } = this.#parts
    const entries = batch.left
    for (const { task } of entries) if (this.#retrying.delete(task)) this.#callbacks.onRetry(task)
    const tasks = entries.map(({ task }) => task)
    const failed = await leasing.delete(backend, tasks, { tally: settings.tally, mayTallyLater: true })
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
