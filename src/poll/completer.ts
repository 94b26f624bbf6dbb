/** Deletes completed tasks from the queue in batches: a batch holds the tasks that ended while the previous one was sent. */
import { LeaseLostError, MessageRefusedError } from '../errors/errors.js'
import type { LeaseKeeper } from '../queue/lease-keeper.js'
import type { Failed, MessageLeases } from '../queue/leasing.js'
import type { LeasedTask } from '../queue/queued-task.js'
import type { Activity } from './activity.js'
import type { ExecutedTasks } from './executed-tasks.js'
import { isBackoffException } from './poll-options.js'
import type { QueueRetries } from './queue-retries.js'
import { warnOfRefusal } from './refusal-warning.js'
import type { LeaseEnds, WorkerDependencies } from './worker-dependencies.js'
import type { WorkerEnd } from './worker-end.js'

/** Largest batch with `tally`: completions are counted once per batch, and a kill between deletion and count loses that count. */
const maxTallyBatch = 100

/** A task that ran to its end, or a pack all of whose tasks have ended. */
export interface Completed {
  readonly task: LeasedTask
  readonly value: unknown
  readonly durationSeconds: number
  /** The number of completed tasks that its removal counts as. */
  readonly completions: number
}

export class Completer {
  readonly #dependencies: Pick<WorkerDependencies, 'backend' | 'events' | 'settings'>
  readonly #leasing: MessageLeases
  readonly #retries: QueueRetries
  readonly #keeper: LeaseKeeper<LeasedTask>
  readonly #executed: ExecutedTasks
  readonly #ends: Pick<LeaseEnds, 'settled'>
  readonly #end: WorkerEnd
  readonly #activity: Activity
  readonly #batchSize: number
  readonly #completed: Completed[] = []
  /** Tasks whose deletion will be retried: their leases are renewed until then. */
  readonly #retrying = new Set<LeasedTask>()
  /** Number of completed tasks that are not deleted yet. */
  pending = 0
  #working: Promise<void> | undefined

  constructor(
    dependencies: Pick<WorkerDependencies, 'backend' | 'events' | 'settings'> & { readonly leasing: MessageLeases },
    others: {
      retries: QueueRetries
      keeper: LeaseKeeper<LeasedTask>
      executed: ExecutedTasks
      ends: Pick<LeaseEnds, 'settled'>
      end: WorkerEnd
      activity: Activity
    },
  ) {
    this.#dependencies = dependencies
    this.#leasing = dependencies.leasing
    this.#retries = others.retries
    this.#keeper = others.keeper
    this.#executed = others.executed
    this.#ends = others.ends
    this.#end = others.end
    this.#activity = others.activity
    const isCounted = dependencies.settings.tally && dependencies.backend.capabilities.counters
    this.#batchSize = isCounted ? maxTallyBatch : Number.POSITIVE_INFINITY
  }

  add(completed: Completed): void {
    this.#completed.push(completed)
    this.pending++
    this.#working ??= this.#work()
  }

  /** Resolves when all completed tasks are deleted and counted. */
  async done(): Promise<void> {
    await this.#working
    await this.#dependencies.backend.tallyDeleted?.()
  }

  async #work(): Promise<void> {
    // In a later turn of the event loop: tasks that end in this one join the batch.
    await new Promise<void>(resolve => setImmediate(resolve))
    while (this.#completed.length > 0) {
      const batch = { left: this.#completed.splice(0, this.#batchSize) }
      for (const { task } of batch.left) {
        this.#keeper.drop(task)
        // The tasks of a pack were reported as they ended.
        if (!task.isPack) this.#dependencies.events.emit('deleting', { task })
      }
      try {
        await this.#retries.retryWithBackoff(() => this.#remove(batch))
      } catch (error) {
        for (const { task } of batch.left) {
          this.#retrying.delete(task)
          this.#notRemoved(task, error)
        }
      }
    }
    this.#working = undefined
    this.#activity.changed()
  }

  /** Deletes the rest of a batch. @throws an error that `backoffExceptions` names */
  async #remove(batch: { left: readonly Completed[] }): Promise<void> {
    const { settings } = this.#dependencies
    const entries = batch.left
    if (this.#retrying.size > 0) {
      for (const { task } of entries) if (this.#retrying.delete(task)) this.#keeper.drop(task)
    }
    const failed = await this.#delete(entries)
    const left: Completed[] = []
    let later: Error | undefined
    for (const completed of entries) {
      const { task } = completed
      const error = failed.get(task)
      if (error !== undefined && isBackoffException(error, settings.backoffExceptions)) {
        later = error
        left.push(completed)
        this.#retrying.add(task)
        // Due at once, since the rest of the lease is unknown: an ended lease would count as a death of this worker.
        this.#keeper.keep(task, 0)
      } else if (error === undefined) this.#removed(completed)
      else this.#notRemoved(task, error)
    }
    batch.left = left
    if (later !== undefined) throw later
  }

  #delete(entries: readonly Completed[]): Promise<Failed> {
    const { backend, settings } = this.#dependencies
    const tasks = entries.map(({ task }) => task)
    const options = { tally: settings.tally, mayTallyLater: true }
    if (entries.every(({ completions }) => completions === 1)) return this.#leasing.delete(backend, tasks, options)
    const completions = new Map(entries.map(({ task, completions: count }) => [task, count]))
    return this.#leasing.delete(backend, tasks, { ...options, completionsOf: task => completions.get(task) ?? 1 })
  }

  #removed({ task, value, durationSeconds }: Completed): void {
    this.pending--
    if (!task.isPack) this.#executed.add({ task }, value, durationSeconds)
    this.#ends.settled(task)
  }

  #notRemoved(task: LeasedTask, error: unknown): void {
    this.pending--
    if (error instanceof LeaseLostError) this.#dependencies.events.emit('lost', { task, error })
    else if (error instanceof MessageRefusedError) {
      warnOfRefusal(this.#dependencies.backend, task, 'it ran, and runs again when its lease ends', error)
    } else this.#end.fail(error)
    this.#ends.settled(task)
  }
}
