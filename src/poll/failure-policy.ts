/** What becomes of a task whose attempt failed: back to the queue for another one, or to the dead letters. */

import { hostname } from 'node:os'
import type { Failure } from '../backend/messages.js'
import type { CallSite } from '../errors/call-site.js'
import { LeaseLostError, MessageRefusedError, TaskError, UnregisteredTaskError } from '../errors/errors.js'
import { isInstanceOf, messageOf, summaryOf } from '../errors/thrown.js'
import { countInserted } from '../queue/count-inserted.js'
import { envelopeFailures, type LeasedTask } from '../queue/queued-task.js'
import { payloadName } from '../tasks/payload.js'
import { plainLine } from '../text/plain-line.js'
import { delaySeconds } from '../time/seconds.js'
import { backoffWindow } from './backoff.js'
import { warnOfNoDeadLetters } from './no-dead-letters.js'
import { deathsAlone, endedAttempts } from './poison-guard.js'
import { isBackoffException } from './poll-options.js'
import { renewTasks } from './renewal.js'
import { storeDeadLetter } from './store-dead-letter.js'
import type { DeadLetters, WorkerParts } from './worker-parts.js'

/** A reason is one line of at most this many characters: a history must stay small, and safe to print. */
const reasonLength = 1000

/** How tasks are given back. */
export interface ReleaseOptions {
  readonly alone?: boolean
  /** Default: 0. Rounded up and cut to what the queue can do. */
  readonly delaySeconds?: number
}

/** The failure that makes a task a dead letter. */
interface LastFailure {
  readonly failure: Failure
  /** It is in the task's history already. */
  readonly isRecorded: boolean
}

/** Each verb may be called again after it failed half way, with the same outcome. */
export class FailurePolicy {
  readonly #parts: WorkerParts
  readonly #leaseSeconds: number
  /** The ids of tasks that could not be marked, and were warned of. */
  readonly #notMarked = new Set<string>()

  constructor(parts: WorkerParts, leaseSeconds: number) {
    this.#parts = parts
    this.#leaseSeconds = leaseSeconds
  }

  /**
   * An attempt failed. Rejects if the queue itself does.
   * @param durationSeconds 0 if the task was not even begun
   */
  async failed(task: LeasedTask, error: unknown, durationSeconds: number): Promise<void> {
    const { events, settings } = this.#parts
    const failure = this.#failure(task, reasonOf(error), durationSeconds)
    const attempts = endedAttempts(task) + 1
    const dead = attempts < settings.maxAttempts ? undefined : await this.#parts.openDeadLetters()
    if (dead !== undefined) {
      if (!(await this.#deadLetterOrRelease(dead, task, failure))) return
      events.emit('failed', { task, error, durationSeconds, retryInSeconds: undefined })
      events.emit('dead-lettered', { task, reason: failure.reason, deadLetter: dead.url })
      return
    }
    if (attempts >= settings.maxAttempts) void warnOfNoDeadLetters(this.#parts.backend, settings.maxAttempts)
    const retryInSeconds = this.#retrySeconds(task.attempt)
    if (!(await this.#release(task, { delaySeconds: retryInSeconds, failure }))) return
    events.emit('failed', { task, error, durationSeconds, retryInSeconds })
  }

  /**
   * A task that has had all its attempts when it is leased, the last of them in a worker that died or could not write the
   * dead letter: it becomes one without another run. False if there are no dead letters: then it has to be run again.
   */
  async exhausted(task: LeasedTask): Promise<boolean> {
    const dead = await this.#parts.openDeadLetters()
    if (dead === undefined) return false
    const last = await this.#lastFailure(task)
    if (!(await this.#deadLetterUnlessRefused(dead, task, last))) return true
    this.#parts.events.emit('dead-lettered', { task, reason: last.failure.reason, deadLetter: dead.url })
    return true
  }

  /**
   * The queue refuses to record that a task runs alone. Warned of once a task.
   * @returns how long the task is to be given back for, in seconds
   */
  notMarked(task: LeasedTask, error: MessageRefusedError): number {
    const { settings } = this.#parts
    if (!this.#notMarked.has(task.id)) {
      this.#notMarked.add(task.id)
      const what = 'it is not run before its queue can record that it runs alone, since workers died with it'
      this.warnOfRefusal(task, what, error)
    }
    return settings.maxBackoffSeconds
  }

  /** Gives tasks back as if they had not been leased; with `alone`, marked; to be leased again after `delaySeconds`. */
  async release(tasks: readonly LeasedTask[], { alone, delaySeconds = 0 }: ReleaseOptions = {}): Promise<void> {
    if (tasks.length === 0) return
    const { backend, events, leasing } = this.#parts
    const failed = await leasing.release(backend, tasks, {
      delaySeconds: this.#delay(delaySeconds),
      ...(alone !== undefined && { alone }),
    })
    let fault: Error | undefined
    for (const task of tasks) {
      const error = failed.get(task)
      if (error === undefined) events.emit('released', { task })
      else if (error instanceof MessageRefusedError)
        this.warnOfRefusal(task, 'it comes back when its lease ends', error)
      // A lease that is over needs no giving back.
      else if (!(error instanceof LeaseLostError)) fault = error
    }
    if (fault !== undefined) throw fault
  }

  /**
   * How a task that has had all its attempts failed: with its last error, and where that is not all there is to say, with
   * how its attempts ended, as far as the queue tells.
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

  /** How long a task waits for its next attempt: longer after each, and spread, so that tasks that failed together part. */
  #retrySeconds(attempt: number): number {
    const { minBackoffSeconds, maxBackoffSeconds } = this.#parts.settings
    return this.#delay(this.#parts.random() * backoffWindow(attempt - 1, minBackoffSeconds, maxBackoffSeconds))
  }

  /** A delay as long as the queue can hold it. Seconds. */
  #delay(seconds: number): number {
    const { capabilities, label } = this.#parts.backend
    return delaySeconds('maxBackoffSeconds', Math.min(seconds, capabilities.maxDelaySeconds), capabilities, label)
  }

  async #release(task: LeasedTask, options: { delaySeconds: number; failure: Failure }): Promise<boolean> {
    const error = (await this.#parts.leasing.release(this.#parts.backend, [task], options)).get(task)
    return this.#stillHeld(task, error)
  }

  /**
   * Moves a task to the dead letters: first it is there, then it leaves the queue. Who dies between the two leaves it in
   * both, and the next worker buries it again under the same id. False if it wasn't ours any more.
   */
  async #deadLetter(dead: DeadLetters, task: LeasedTask, { failure, isRecorded }: LastFailure): Promise<boolean> {
    // What another worker holds may succeed there: it is no dead letter.
    const lost = await renewTasks(this.#parts, [task], this.#leaseSeconds)
    if (!this.#stillHeld(task, lost.get(task))) return false
    const history = await this.#history(task)
    await storeDeadLetter(dead, task, isRecorded ? history : [...history, failure])
    await countInserted(dead.backend, 1)
    const error = (await this.#parts.leasing.delete(this.#parts.backend, [task], { tally: false })).get(task)
    return this.#stillHeld(task, error)
  }

  /** As `#bury`; a task that the dead letters refuse for itself (it is too large) stays in the queue, and the worker goes on. */
  async #deadLetterUnlessRefused(dead: DeadLetters, task: LeasedTask, last: LastFailure): Promise<boolean> {
    try {
      return await this.#deadLetter(dead, task, last)
    } catch (error) {
      if (!(error instanceof MessageRefusedError)) throw error
      this.warnOfRefusal(task, `${dead.url} doesn't take it as a dead letter`, error)
      await this.#release(task, { delaySeconds: this.#retrySeconds(task.attempt), failure: last.failure })
      return false
    }
  }

  /** The same; where they can't be written at all, it doesn't stay leased by a worker that ends with that error. */
  async #deadLetterOrRelease(dead: DeadLetters, task: LeasedTask, failure: Failure): Promise<boolean> {
    try {
      return await this.#deadLetterUnlessRefused(dead, task, { failure, isRecorded: false })
    } catch (error) {
      const isRetried = isBackoffException(error, this.#parts.settings.backoffExceptions)
      if (!isRetried) await this.#release(task, { delaySeconds: this.#retrySeconds(task.attempt), failure })
      throw error
    }
  }

  /**
   * False, and said, if the lease is lost, or the queue refuses that of this one task: then it comes back when its lease
   * ends. @throws any other error
   */
  #stillHeld(task: LeasedTask, error: Error | undefined): boolean {
    if (error === undefined) return true
    if (error instanceof MessageRefusedError) {
      this.warnOfRefusal(task, 'it comes back when its lease ends', error)
      return false
    }
    if (!(error instanceof LeaseLostError)) throw error
    this.#parts.events.emit('lost', { task, error })
    return false
  }

  /** The failures of the attempts that count. */
  async #recorded(task: LeasedTask): Promise<readonly Failure[]> {
    // Where the engine can't look them up, the lease brings them.
    return (await this.#parts.backend.failures?.(task)) ?? task.failures.slice(envelopeFailures(task).length)
  }

  /** With those of before the task was put back by `retry`. */
  async #history(task: LeasedTask): Promise<readonly Failure[]> {
    return [...envelopeFailures(task), ...(await this.#recorded(task))]
  }

  /** Says that the queue refused to do something with this one task, and what becomes of it. */
  warnOfRefusal(task: LeasedTask, what: string, error: Error): void {
    const { label } = this.#parts.backend
    const name = `Task ${payloadName(task.payload())} (${task.id}) of ${label}`
    process.emitWarning(`${name} was refused, ${what}: ${reasonOf(error)}`, { code: 'PTQ_TASK_REFUSED' })
  }
}

/** Why an attempt failed, in one line without control characters. */
export function reasonOf(error: unknown): string {
  return plainLine(textOf(error)).slice(0, reasonLength)
}

function textOf(error: unknown): string {
  return isInstanceOf(error, UnregisteredTaskError) ? `not registered: ${messageOf(error)}` : summaryOf(error)
}

/** The error of a leased task that failed; `cause` is its own. @param caller where `poll` was called */
export function taskError(task: LeasedTask, cause: unknown, caller?: CallSite): TaskError<LeasedTask> {
  const { id, attempt } = task
  const message = `Task ${payloadName(task.payload())} (${id}) failed at attempt ${attempt}: ${reasonOf(cause)}`
  return new TaskError(message, { task, id, attempt, cause, ...(caller && { caller }) })
}
