/** What becomes of a task whose attempt failed: back to the queue for another one, or to the dead letters. */
import { hostname } from 'node:os'
import type { Backend, Failure } from '../backend.js'
import { LeaseLostError, UnregisteredTaskError } from '../errors.js'
import type { Leasing } from '../leasing.js'
import { messageWriter } from '../message.js'
import type { LeasedTask } from '../queued-task.js'
import { delaySeconds } from '../seconds.js'
import { backoffWindow } from './backoff.js'
import type { PollSettings } from './poll-options.js'
import type { WorkerEvents } from './worker-events.js'

/** A reason is one line of at most this many characters: a history must stay small, and safe to print. */
const reasonLength = 1000

/** A queue for dead letters, opened. */
export interface DeadLetters {
  readonly url: string
  readonly backend: Backend
}

export class FailurePolicy {
  readonly #backend: Backend
  readonly #leasing: Leasing
  readonly #openDeadLetters: () => Promise<DeadLetters | undefined>
  readonly #settings: PollSettings
  readonly #events: WorkerEvents
  readonly #random: () => number

  constructor(options: {
    backend: Backend
    leasing: Leasing
    /** `undefined`: the queue has no place for dead letters. */
    openDeadLetters: () => Promise<DeadLetters | undefined>
    settings: PollSettings
    events: WorkerEvents
    random: () => number
  }) {
    this.#backend = options.backend
    this.#leasing = options.leasing
    this.#openDeadLetters = options.openDeadLetters
    this.#settings = options.settings
    this.#events = options.events
    this.#random = options.random
  }

  /**
   * An attempt failed. Rejects if the queue itself does.
   * @param durationSeconds 0 if the task was not even begun
   */
  async failed(task: LeasedTask, error: unknown, durationSeconds: number): Promise<void> {
    const failure = this.#failure(task, reasonOf(error), durationSeconds)
    if (task.attempt >= this.#settings.maxAttempts && (await this.#bury(task, failure))) {
      this.#events.emit('failed', { task, error, durationSeconds, retryInSeconds: undefined })
      this.#events.emit('dead-lettered', { task, reason: failure.reason, deadLetter: await this.#deadLetterUrl() })
      return
    }
    const retryInSeconds = this.#retrySeconds(task.attempt)
    await this.#release(task, { delaySeconds: retryInSeconds, failure })
    this.#events.emit('failed', { task, error, durationSeconds, retryInSeconds })
  }

  /**
   * A task that was leased more often than it may be, because workers died with it or lost their leases: it is buried
   * without another try. False if there are no dead letters: then it has to be run again.
   */
  async exhausted(task: LeasedTask): Promise<boolean> {
    const attempts = task.attempt - 1
    const reason = `${attempts} attempts ended without a result: each worker died with the task, or lost its lease`
    const failure = { ...this.#failure(task, reason, 0), attempt: attempts }
    if (!(await this.#bury(task, failure))) return false
    this.#events.emit('dead-lettered', { task, reason, deadLetter: await this.#deadLetterUrl() })
    return true
  }

  /** Gives a task back as if it had not been leased. */
  async release(tasks: readonly LeasedTask[]): Promise<void> {
    if (tasks.length === 0) return
    const failed = await this.#leasing.release(this.#backend, tasks, { delaySeconds: 0 })
    for (const task of tasks) {
      const error = failed.get(task)
      // A lease that is over needs no giving back.
      if (error !== undefined && !(error instanceof LeaseLostError)) throw error
      this.#events.emit('released', { task })
    }
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
    const { minBackoffWindow, maxBackoffWindow } = this.#settings
    const { capabilities, label } = this.#backend
    const seconds = this.#random() * backoffWindow(attempt - 1, minBackoffWindow, maxBackoffWindow)
    return delaySeconds('maxBackoffWindow', Math.min(seconds, capabilities.maxDelaySeconds), capabilities, label)
  }

  async #release(task: LeasedTask, options: { delaySeconds: number; failure: Failure }): Promise<void> {
    const error = (await this.#leasing.release(this.#backend, [task], options)).get(task)
    if (error === undefined) return
    if (!(error instanceof LeaseLostError)) throw error
    this.#events.emit('lost', { task, error })
  }

  /**
   * Moves a task to the dead letters: first it is there, then it leaves the queue. Who dies between the two leaves it in
   * both, and the next worker buries it again under the same id.
   */
  async #bury(task: LeasedTask, failure: Failure): Promise<boolean> {
    const dead = await this.#openDeadLetters()
    if (dead === undefined) return false
    const { backend } = dead
    const failures = [...((await this.#backend.failures?.(task)) ?? []), failure]
    const write = messageWriter(backend.queueName, { ascii: backend.capabilities.asciiBodies ?? false })
    const message = { id: task.id, body: write(task.payloadText, task.id, failures) }
    const [notStored] = await backend.insert([message], { delaySeconds: 0 })
    if (notStored !== undefined) throw notStored.error
    await backend.addInserted?.(1)
    const error = (await this.#leasing.delete(this.#backend, [task], { tally: false })).get(task)
    if (error instanceof LeaseLostError) this.#events.emit('lost', { task, error })
    else if (error !== undefined) throw error
    return true
  }

  async #deadLetterUrl(): Promise<string> {
    return (await this.#openDeadLetters())?.url ?? ''
  }
}

/** Why an attempt failed, in one line without control characters. */
export function reasonOf(error: unknown): string {
  const text =
    error instanceof UnregisteredTaskError
      ? `not registered: ${error.message}`
      : error instanceof Error
        ? `${error.name}: ${error.message}`
        : String(error)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach a terminal
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').slice(0, reasonLength)
}
