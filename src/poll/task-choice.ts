/** Decides which of the tasks that were just leased may run now. The others are split, dead-lettered, released, or wait. */
import { LeaseLostError, MessageRefusedError, UnregisteredTaskError } from '../errors/errors.js'
import { isInstanceOf } from '../errors/thrown.js'
import type { LeasedTask } from '../queue/queued-task.js'
import type { LeaseWaits } from './lease-waits.js'
import { endedAttempts } from './poison-guard.js'
import { renewTasks } from './renewal.js'
import { mustSplit } from './split-pack.js'
import type { TaskEnds } from './task-ends.js'

export class TaskChoice {
  readonly #ends: TaskEnds
  readonly #waits: LeaseWaits
  readonly #leaseSeconds: number

  constructor(ends: TaskEnds, waits: LeaseWaits, leaseSeconds: number) {
    this.#ends = ends
    this.#waits = waits
    this.#leaseSeconds = leaseSeconds
  }

  /** The tasks that may run now. */
  async choose(tasks: readonly LeasedTask[]): Promise<readonly LeasedTask[]> {
    const { guard, held, dependencies } = this.#ends
    for (const task of tasks) {
      if (this.#waits.stopped) return []
      if (mustSplit(task)) await this.#split(task)
      else if (task.attempt > 1 && endedAttempts(task) >= dependencies.settings.maxAttempts)
        await this.#deadLetter(task)
    }
    const { run, release, mark } = guard.choose(tasks.filter(task => held.has(task)))
    // Before any of the others starts: if one kills this worker, the released tasks must not count a death.
    if (release.length > 0) await this.#release(release)
    if (mark.length > 0) await this.#release(mark, { alone: true })
    if (guard.isDraining) this.#ends.releaseWaiting()
    return run
  }

  /** Records in the queue that the task runs alone; false if it can't run now. */
  async markAlone(task: LeasedTask): Promise<boolean> {
    const { dependencies, policy } = this.#ends
    const { backend, leasing } = dependencies
    if (backend.runsAlone === undefined) return true
    try {
      // The task may have waited long: the record must belong to this lease, not to a later one.
      const lost = (await renewTasks(dependencies, [task], this.#leaseSeconds)).get(task)
      if (lost !== undefined) throw lost
      await leasing.runsAlone(backend, task)
      return true
    } catch (error) {
      if (error instanceof MessageRefusedError) {
        // It must not run, or its deaths would never count.
        void this.#ends.release([task], { delaySeconds: policy.notMarked(task, error) })
        return false
      }
      if (!(error instanceof LeaseLostError)) throw error
      this.#ends.lost(task, error)
      return false
    }
  }

  /** Splits a pack whose holder died: its parts are leased as any other message. */
  async #split(pack: LeasedTask): Promise<void> {
    const { held, packs, retries } = this.#ends
    try {
      await retries.retryWithBackoff(() => packs.split(pack))
    } catch (error) {
      held.drop(pack)
      if (isInstanceOf(error, UnregisteredTaskError)) {
        this.#ends.failed(pack, error, 0)
        return
      }
      void this.#ends.release([pack])
      throw error
    }
    held.drop(pack)
    this.#ends.settled(pack)
  }

  /** Dead-letters a task that has had all its attempts. It is not held during that, so nothing else releases it. */
  async #deadLetter(task: LeasedTask): Promise<void> {
    const { held, policy, retries } = this.#ends
    held.drop(task)
    try {
      if (await retries.retryWithBackoff(() => policy.exhausted(task))) return
    } catch (error) {
      void this.#ends.release([task])
      throw error
    }
    // The queue has no dead letters.
    held.add([task])
  }

  #release(tasks: readonly LeasedTask[], options?: { alone: boolean }): Promise<void> {
    // A lease may have been lost since.
    return this.#ends.release(
      tasks.filter(task => this.#ends.held.has(task)),
      options,
    )
  }
}
