/**
 * The leases of one TaskQueue: takes them, changes them in batches, and tracks those to be released at the end. A task can be
 * renewed, released and deleted through the queue that leased it only.
 */
import type { Backend } from '../backend/backend.js'
import type { BatchFailure, Failure, Lease, Message } from '../backend/messages.js'
import { argumentError, LeaseLostError } from '../errors/errors.js'
import { messageOf, toError } from '../errors/thrown.js'
import { elapsedMs } from '../time/clock.js'
import { delaySeconds } from '../time/seconds.js'
import { warnOfNoTask } from './no-task.js'
import { LeasedTask, leaseOf } from './queued-task.js'

/** Number of held leases from which ended ones are swept. */
const minSweep = 1024

/** The tasks of a verb that failed, with their errors. */
export type Failed = ReadonlyMap<LeasedTask, Error>

/** Parameters of a lease request; times are rounded for the backend, see `seconds.ts`. */
export interface LeasePlan {
  readonly seconds: number
  readonly max: number
  readonly waitSeconds: number
  readonly signal: AbortSignal
}

/** The verbs of a worker on leased messages. */
export type MessageLeases = Pick<Leasing, 'delete' | 'lease' | 'moveTo' | 'release' | 'renew' | 'replace' | 'runsAlone'>

export class Leasing {
  /** Concurrent batches of one verb. */
  readonly #concurrency: number
  /** Tasks to release at the end, with the end of their leases, by `elapsedMs`. */
  readonly #held = new Map<LeasedTask, number>()
  /**
   * Pending renewals and the changes that wait for them: a renewal may change the handle by which its task can be renewed,
   * released or deleted.
   */
  readonly #renewing = new Map<LeasedTask, Promise<unknown>>()
  #sweepAt = minSweep

  constructor(concurrency: number) {
    this.#concurrency = concurrency
  }

  /** The tasks whose leases are still to be released. */
  get held(): LeasedTask[] {
    return [...this.#held.keys()]
  }

  /**
   * Checks what a caller passed as the tasks of a verb; a task that is named twice counts once.
   *
   * @throws TypeError where one of them was not leased here
   */
  require(tasks: LeasedTask | Iterable<LeasedTask>): LeasedTask[] {
    if (tasks instanceof LeasedTask) {
      this.#leaseOf(tasks, 'task')
      return [tasks]
    }
    if (tasks === null || typeof tasks !== 'object' || !(Symbol.iterator in tasks)) {
      throw argumentError('tasks', 'a task that this queue leased, or an iterable of them', tasks)
    }
    const distinct = new Set(tasks)
    let index = 0
    for (const task of distinct) this.#leaseOf(task, `tasks[${index++}]`)
    return [...distinct]
  }

  /** Leases up to `max` tasks. Invalid messages are quarantined, and others leased instead. */
  async lease(backend: Backend, plan: LeasePlan): Promise<LeasedTask[]> {
    const refused = new Set<string>()
    for (;;) {
      // Messages that are no tasks ended the wait already.
      const waitSeconds = refused.size === 0 ? plan.waitSeconds : 0
      const leases = await backend.lease({ ...plan, waitSeconds })
      const endMs = elapsedMs() + plan.seconds * 1000
      const tasks: LeasedTask[] = []
      let moved = false
      for (const lease of leases) {
        try {
          tasks.push(this.#keep(lease, endMs))
        } catch (error) {
          await quarantine(backend, lease, error)
          // A message that is leased again was not moved away: retrying could be endless.
          if (backend.quarantine !== undefined && !refused.has(lease.id)) moved = true
          refused.add(lease.id)
        }
      }
      if (tasks.length > 0 || !moved) return tasks
    }
  }

  /** Makes leases end `seconds` from now. */
  async renew(backend: Backend, tasks: readonly LeasedTask[], seconds: number): Promise<Failed> {
    const failed = await this.#inTurn(tasks, () =>
      this.#change(backend, tasks, leases => backend.renew(leases, seconds)),
    )
    const endMs = elapsedMs() + seconds * 1000
    for (const task of tasks) {
      const error = failed.get(task)
      if (error === undefined) this.#held.set(task, endMs)
      else if (error instanceof LeaseLostError) this.#held.delete(task)
    }
    return failed
  }

  /** Releases leases; with `failure`, an attempt was made and counts. */
  async release(
    backend: Backend,
    tasks: readonly LeasedTask[],
    options: { delaySeconds: number; failure?: Failure; alone?: boolean },
  ): Promise<Failed> {
    const release = () => this.#change(backend, tasks, leases => backend.release(leases, options))
    return this.#end(tasks, await this.#afterRenewals(tasks, release))
  }

  /** Records in the queue, if supported, that a task runs alone. */
  async runsAlone(backend: Backend, task: LeasedTask): Promise<void> {
    const lease = this.#leaseOf(task, 'task')
    // The queue may change the handle, as a renewal does.
    await this.#inTurn([task], async () => {
      await backend.runsAlone?.(lease)
      return new Map()
    })
  }

  /**
   * Removes finished tasks.
   *
   * @param options.completionsOf the number of completions that a task stands for. Default: 1
   */
  async delete(
    backend: Backend,
    tasks: readonly LeasedTask[],
    options: { tally: boolean; mayTallyLater?: boolean; completionsOf?: (task: LeasedTask) => number },
  ): Promise<Failed> {
    const { completionsOf, ...others } = options
    const remove = () =>
      this.#change(backend, tasks, (leases, batch) =>
        backend.delete(
          leases,
          completionsOf === undefined ? others : { ...others, completions: batch.map(completionsOf) },
        ),
      )
    return this.#end(tasks, await this.#afterRenewals(tasks, remove))
  }

  /**
   * Deletes a task here and stores `message` in another queue, both or neither. False where the queue can't do both at once.
   *
   * @throws LeaseLostError where the lease is over
   */
  async moveTo(backend: Backend, task: LeasedTask, message: Message, other: Backend): Promise<boolean> {
    const lease = this.#leaseOf(task, 'task')
    let isMoved = false
    // The queue may change the handle, as a renewal does.
    await this.#inTurn([task], async () => {
      isMoved = (await backend.moveLeased?.(lease, message, other)) ?? false
      return new Map()
    })
    if (isMoved) this.#held.delete(task)
    return isMoved
  }

  /** Replaces the body of a leased message, where the queue can. @throws LeaseLostError where the lease is over */
  async replace(backend: Backend, task: LeasedTask, body: string): Promise<void> {
    const lease = this.#leaseOf(task, 'task')
    // The queue may change the handle, as a renewal does.
    await this.#inTurn([task], async () => {
      await backend.replace?.(lease, body)
      return new Map()
    })
  }

  #keep(lease: Lease, endMs: number): LeasedTask {
    const task = new LeasedTask(lease, this)
    this.#held.set(task, endMs)
    if (this.#held.size >= this.#sweepAt) this.#sweep()
    return task
  }

  #afterRenewals(tasks: readonly LeasedTask[], change: () => Promise<Failed>): Promise<Failed> {
    const isFree = this.#renewing.size === 0 || !tasks.some(task => this.#renewing.has(task))
    return isFree ? change() : this.#inTurn(tasks, change)
  }

  /** Runs `change` when earlier changes of the tasks have ended; later ones wait for it. */
  async #inTurn(tasks: readonly LeasedTask[], change: () => Promise<Failed>): Promise<Failed> {
    // Each caller gets the result of its own change.
    const turn = Promise.allSettled(tasks.map(task => this.#renewing.get(task))).then(change)
    for (const task of tasks) this.#renewing.set(task, turn)
    try {
      return await turn
    } finally {
      for (const task of tasks) if (this.#renewing.get(task) === turn) this.#renewing.delete(task)
    }
  }

  /** Drops tasks whose lease was ended or is lost: they need no release. */
  #end(tasks: readonly LeasedTask[], failed: Failed): Failed {
    for (const task of tasks) {
      const error = failed.get(task)
      if (error === undefined || error instanceof LeaseLostError) this.#held.delete(task)
    }
    return failed
  }

  /** Drops leases that have ended without a release, so that they don't fill the memory. */
  #sweep(): void {
    const nowMs = elapsedMs()
    for (const [task, endMs] of this.#held) if (endMs < nowMs) this.#held.delete(task)
    this.#sweepAt = Math.max(minSweep, this.#held.size * 2)
  }

  /** Calls a verb in batches. One that fails as a whole fails for each of its tasks; the others continue. */
  async #change(
    backend: Backend,
    tasks: readonly LeasedTask[],
    verb: (leases: readonly Lease[], batch: readonly LeasedTask[]) => Promise<readonly BatchFailure[]>,
  ): Promise<Failed> {
    const size = backend.capabilities.leaseBatch
    const failed = new Map<LeasedTask, Error>()
    let next = 0
    const work = async () => {
      while (next < tasks.length) {
        const batch = tasks.slice(next, next + size)
        next += size
        const leases = batch.map(task => this.#leaseOf(task, 'task'))
        for (const { index, error } of await settled(leases, () => verb(leases, batch))) {
          const task = batch[index]
          if (task === undefined)
            throw new Error(`${backend.label} reported entry ${index} of ${batch.length} as failed`)
          failed.set(task, error)
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(this.#concurrency, Math.ceil(tasks.length / size)) }, work))
    return failed
  }

  #leaseOf(task: LeasedTask, name: string): Lease {
    const lease = task instanceof LeasedTask ? leaseOf(task, this) : undefined
    if (lease === undefined) throw argumentError(name, 'a task that this queue leased', task)
    return lease
  }
}

async function settled(
  leases: readonly Lease[],
  verb: (leases: readonly Lease[]) => Promise<readonly BatchFailure[]>,
): Promise<readonly BatchFailure[]> {
  try {
    return await verb(leases)
  } catch (cause) {
    const error = toError(cause)
    return leases.map((_, index) => ({ index, error }))
  }
}

/**
 * Quarantines an invalid message. If the backend can't do that, the message is released and its queue's own policy
 * decides; the caller gets the other tasks in any case.
 */
async function quarantine(backend: Backend, lease: Lease, error: unknown): Promise<void> {
  const reason = messageOf(error)
  if (backend.quarantine === undefined) {
    // Later each time, or every worker would be given it again at once, for as long as that policy waits.
    const { capabilities, label } = backend
    const wantedSeconds = Math.min(2 ** Math.min(lease.attempt, 20), capabilities.maxDelaySeconds)
    const options = { delaySeconds: delaySeconds('delaySeconds', wantedSeconds, capabilities, label) }
    const [failure] = await settled([lease], leases => backend.release(leases, options))
    warnOfNoTask(
      backend,
      lease.id,
      failure === undefined ? 'released' : `not released (${failure.error.message})`,
      error,
    )
    return
  }
  try {
    await backend.quarantine(lease, reason)
    warnOfNoTask(backend, lease.id, 'set aside', error)
  } catch (cause) {
    warnOfNoTask(backend, lease.id, `not set aside (${messageOf(cause)})`, error)
  }
}

/**
 * Throws the errors of a verb on several tasks: the one error, or all of them in an AggregateError.
 *
 * @param done the result for the others, e.g. `3 of 5 tasks were deleted from /data/queue`
 */
export function throwFailed(failed: Failed, done: string): void {
  const errors = [...new Set(failed.values())]
  const [first] = errors
  if (first === undefined) return
  if (errors.length === 1) throw first
  const lost = errors.filter(error => error instanceof LeaseLostError).length
  throw new AggregateError(
    errors,
    `${done}; ${failed.size} failed, ${lost} of them with a lost lease: ${first.message}`,
  )
}
