/** Decides on a failed attempt: the task is released for another attempt, or moved to the dead letters. */

import { hostname } from 'node:os'
import type { Failure, Message } from '../backend/messages.js'
import { LeaseLostError, MessageRefusedError } from '../errors/errors.js'
import { stackOf } from '../errors/thrown.js'
import { countInserted } from '../queue/count-inserted.js'
import { envelopeFailures, type LeasedTask } from '../queue/queued-task.js'
import { delaySeconds } from '../time/seconds.js'
import { backoffWindow } from './backoff.js'
import { reasonLength, reasonOf } from './failure-reason.js'
import { warnOfNoDeadLetters } from './no-dead-letters.js'
import { deathsAlone, endedAttempts } from './poison-guard.js'
import { isBackoffException } from './poll-options.js'
import { warnOfRefusal } from './refusal-warning.js'
import { renewTasks } from './renewal.js'
import { storeDeadLetter } from './store-task.js'
import type { DeadLetters, ReleaseOptions, WorkerDependencies } from './worker-dependencies.js'

/** Longest stack, kept with the last failure of a dead letter. Characters. */
const stackLength = 4000

/** The failure that makes a task a dead letter. */
interface LastFailure {
  readonly failure: Failure
  /** True if the task's history has it already. */
  readonly isRecorded: boolean
}

/** Each method is idempotent: after a partial failure it can be called again. */
export class FailurePolicy {
  readonly #dependencies: WorkerDependencies
  readonly #leaseSeconds: number
  /** Ids of the tasks for which the warning about a refused mark was emitted. */
  readonly #notMarked = new Set<string>()

  constructor(dependencies: WorkerDependencies, leaseSeconds: number) {
    this.#dependencies = dependencies
    this.#leaseSeconds = leaseSeconds
  }

  /**
   * Handles a failed attempt. Rejects if the queue itself fails.
   * @param durationSeconds 0 if the task was not started
   */
  async failed(task: LeasedTask, error: unknown, durationSeconds: number): Promise<void> {
    const { events, settings } = this.#dependencies
    const failure = this.#failure(task, reasonOf(error), durationSeconds)
    const attempts = endedAttempts(task) + 1
    const dead = attempts < settings.maxAttempts ? undefined : await this.#dependencies.openDeadLetters()
    if (dead !== undefined) {
      const withStack = { ...failure, stack: stackOf(error).slice(0, stackLength) }
      if (!(await this.#deadLetterOrRelease(dead, task, withStack))) return
      events.emit('failed', { task, error, durationSeconds, retryInSeconds: undefined })
      events.emit('dead-lettered', { task, reason: failure.reason, deadLetter: dead.url })
      return
    }
    if (attempts >= settings.maxAttempts) void warnOfNoDeadLetters(this.#dependencies.backend, settings.maxAttempts)
    const retryInSeconds = this.#retrySeconds(task.attempt)
    if (!(await this.#release(task, { delaySeconds: retryInSeconds, failure }))) return
    events.emit('failed', { task, error, durationSeconds, retryInSeconds })
  }

  /**
   * Dead-letters a task that was leased past `maxAttempts`, without running it: its last worker died or could not write the
   * dead letter. False if the queue has no dead letters: then it has to be run again.
   */
  async exhausted(task: LeasedTask): Promise<boolean> {
    const dead = await this.#dependencies.openDeadLetters()
    if (dead === undefined) return false
    const last = await this.#lastFailure(task)
    if (!(await this.#deadLetterUnlessRefused(dead, task, last))) return true
    this.#dependencies.events.emit('dead-lettered', { task, reason: last.failure.reason, deadLetter: dead.url })
    return true
  }

  /**
   * Handles a queue that refuses to record that a task runs alone: warns once per task.
   * @returns the delay to release the task with, in seconds
   */
  notMarked(task: LeasedTask, error: MessageRefusedError): number {
    const { settings } = this.#dependencies
    if (!this.#notMarked.has(task.id)) {
      this.#notMarked.add(task.id)
      const what = 'it is not run before its queue can record that it runs alone, since workers died with it'
      warnOfRefusal(this.#dependencies.backend, task, what, error)
    }
    return settings.maxBackoffSeconds
  }

  /** Releases tasks as if they had not been leased; with `alone`, marked; leasable again after `delaySeconds`. */
  async release(tasks: readonly LeasedTask[], { alone, delaySeconds = 0 }: ReleaseOptions = {}): Promise<void> {
    if (tasks.length === 0) return
    const { backend, events, leasing } = this.#dependencies
    const failed = await leasing.release(backend, tasks, {
      delaySeconds: this.#delay(delaySeconds),
      ...(alone !== undefined && { alone }),
    })
    let fault: Error | undefined
    for (const task of tasks) {
      const error = failed.get(task)
      if (error === undefined) events.emit('released', { task })
      else if (error instanceof MessageRefusedError)
        warnOfRefusal(this.#dependencies.backend, task, 'it comes back when its lease ends', error)
      // An ended lease needs no release.
      else if (!(error instanceof LeaseLostError)) fault = error
    }
    if (fault !== undefined) throw fault
  }

  /**
   * The failure that explains why a task has had all its attempts: its last error, and if some attempts left no error,
   * how the attempts ended, as far as the queue knows.
   */
  async #lastFailure(task: LeasedTask): Promise<LastFailure> {
    const died = deathsAlone(task)
    const failed = endedAttempts(task) - died
    const recorded = await this.#recorded(task)
    const last = recorded.at(-1)
    if (died === 0 && last !== undefined && recorded.length >= failed) return { failure: last, isRecorded: true }
    const ends: string[] = []
    if (failed > 0) {
      ends.push(recorded.length >= failed ? `${failed} failed` : `${failed} failed or ended without being recorded`)
    }
    if (died > 0) {
      ends.push(`in ${died} the worker died, or was silent until its lease ended, while it ran this task alone`)
    }
    const end = ends.join(', ')
    const reason =
      last === undefined
        ? `The attempts are over: ${end}`
        : // The error is cut, not what follows it.
          `${last.reason.slice(0, reasonLength / 2)}; the attempts are over: ${end}`
    return { failure: { ...this.#failure(task, reason, 0), attempt: task.attempt - 1 }, isRecorded: false }
  }

  #failure(task: LeasedTask, reason: string, durationSeconds: number): Failure {
    return {
      attempt: task.attempt,
      reason,
      host: hostname(),
      pid: process.pid,
      failedAtMs: Date.now(),
      durationSeconds: Math.round(durationSeconds * 1000) / 1000,
    }
  }

  /** The delay before the next attempt: exponential, with jitter, so that tasks that failed together are spread. */
  #retrySeconds(attempt: number): number {
    const { minBackoffSeconds, maxBackoffSeconds } = this.#dependencies.settings
    return this.#delay(this.#dependencies.random() * backoffWindow(attempt - 1, minBackoffSeconds, maxBackoffSeconds))
  }

  /** A delay that the queue can represent. Seconds. */
  #delay(seconds: number): number {
    const { capabilities, label } = this.#dependencies.backend
    return delaySeconds('maxBackoffSeconds', Math.min(seconds, capabilities.maxDelaySeconds), capabilities, label)
  }

  async #release(task: LeasedTask, options: { delaySeconds: number; failure: Failure }): Promise<boolean> {
    const error = (await this.#dependencies.leasing.release(this.#dependencies.backend, [task], options)).get(task)
    return this.#stillHeld(task, error)
  }

  /**
   * Moves a task to the dead letters: at once where the queue can, otherwise it is stored there, then deleted from the queue. A worker
   * that dies between the two leaves it in both, and the next worker stores it again under the same id. False if the lease was lost.
   */
  async #deadLetter(dead: DeadLetters, task: LeasedTask, { failure, isRecorded }: LastFailure): Promise<boolean> {
    // A task that another worker holds may still succeed there.
    const lost = await renewTasks(this.#dependencies, [task], this.#leaseSeconds)
    if (!this.#stillHeld(task, lost.get(task))) return false
    const history = await this.#history(task)
    const { backend, leasing, results } = this.#dependencies
    // Before its message is gone, as that of a success.
    const storeOutcome = () => results?.failure(task, failure.attempt, failure.reason)
    const move = async (message: Message) => {
      if (backend.moveLeased === undefined) return false
      await storeOutcome()
      return leasing.moveTo(backend, task, message, dead.backend)
    }
    let isMoved: boolean
    try {
      isMoved = await storeDeadLetter(dead, task, isRecorded ? history : [...history, failure], move)
    } catch (error) {
      if (!(error instanceof LeaseLostError)) throw error
      return this.#stillHeld(task, error)
    }
    await countInserted(dead.backend, task.count)
    if (isMoved) return true
    await storeOutcome()
    const error = (await leasing.delete(backend, [task], { tally: false })).get(task)
    return this.#stillHeld(task, error)
  }

  /** As `#deadLetter`; a message that the dead letter queue refuses (too large) stays in the queue, and the worker continues. */
  async #deadLetterUnlessRefused(dead: DeadLetters, task: LeasedTask, last: LastFailure): Promise<boolean> {
    try {
      return await this.#deadLetter(dead, task, last)
    } catch (error) {
      if (!(error instanceof MessageRefusedError)) throw error
      warnOfRefusal(this.#dependencies.backend, task, `${dead.url} doesn't take it as a dead letter`, error)
      await this.#release(task, { delaySeconds: this.#retrySeconds(task.attempt), failure: last.failure })
      return false
    }
  }

  /** As above; if the dead letters can't be written at all, releases the task, since the worker ends with that error. */
  async #deadLetterOrRelease(dead: DeadLetters, task: LeasedTask, failure: Failure): Promise<boolean> {
    try {
      return await this.#deadLetterUnlessRefused(dead, task, { failure, isRecorded: false })
    } catch (error) {
      const isRetried = isBackoffException(error, this.#dependencies.settings.backoffExceptions)
      if (!isRetried) await this.#release(task, { delaySeconds: this.#retrySeconds(task.attempt), failure })
      throw error
    }
  }

  /**
   * True if the task was still held. If its lease is lost (event), or the queue refused the change for this task
   * (warning), it becomes ready when its lease ends. @throws any other error
   */
  #stillHeld(task: LeasedTask, error: Error | undefined): boolean {
    if (error === undefined) return true
    if (error instanceof MessageRefusedError) {
      warnOfRefusal(this.#dependencies.backend, task, 'it comes back when its lease ends', error)
      return false
    }
    if (!(error instanceof LeaseLostError)) throw error
    this.#dependencies.events.emit('lost', { task, error })
    return false
  }

  /** The recorded failures of the attempts that count. */
  async #recorded(task: LeasedTask): Promise<readonly Failure[]> {
    // If the backend can't look them up, the lease contains them.
    return (await this.#dependencies.backend.failures?.(task)) ?? task.failures.slice(envelopeFailures(task).length)
  }

  /** All failures, also those from before the task was put back by `retry`. */
  async #history(task: LeasedTask): Promise<readonly Failure[]> {
    return [...envelopeFailures(task), ...(await this.#recorded(task))]
  }
}
