/** What becomes of a task whose attempt failed: back to the queue for another one, or to the dead letters. */
import { hostname } from 'node:os'
import type { Failure } from '../backend.js'
import { LeaseLostError, UnregisteredTaskError } from '../errors.js'
import { messageWriter } from '../message.js'
import type { LeasedTask } from '../queued-task.js'
import { delaySeconds } from '../seconds.js'
import { backoffWindow } from './backoff.js'
import type { WorkerParts } from './worker-parts.js'

/** A reason is one line of at most this many characters: a history must stay small, and safe to print. */
const reasonLength = 1000

export class FailurePolicy {
  readonly #parts: WorkerParts

  constructor(parts: WorkerParts) {
    this.#parts = parts
  }

  /**
   * An attempt failed. Rejects if the queue itself does.
   * @param durationSeconds 0 if the task was not even begun
   */
  async failed(task: LeasedTask, error: unknown, durationSeconds: number): Promise<void> {
    const failure = this.#failure(task, reasonOf(error), durationSeconds)
    if (task.attempt >= this.#parts.settings.maxAttempts && (await this.#bury(task, failure))) {
      this.#parts.events.emit('failed', { task, error, durationSeconds, retryInSeconds: undefined })
      this.#parts.events.emit('dead-lettered', {
        task,
        reason: failure.reason,
        deadLetter: await this.#deadLetterUrl(),
      })
      return
    }
    const retryInSeconds = this.#retrySeconds(task.attempt)
    await this.#release(task, { delaySeconds: retryInSeconds, failure })
    this.#parts.events.emit('failed', { task, error, durationSeconds, retryInSeconds })
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
    this.#parts.events.emit('dead-lettered', { task, reason, deadLetter: await this.#deadLetterUrl() })
    return true
  }

  /** Gives a task back as if it had not been leased. */
  async release(tasks: readonly LeasedTask[]): Promise<void> {
    if (tasks.length === 0) return
    const failed = await this.#parts.leasing.release(this.#parts.backend, tasks, { delaySeconds: 0 })
    for (const task of tasks) {
      const error = failed.get(task)
      // A lease that is over needs no giving back.
      if (error !== undefined && !(error instanceof LeaseLostError)) throw error
      this.#parts.events.emit('released', { task })
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
    const { minBackoffWindow, maxBackoffWindow } = this.#parts.settings
    const { capabilities, label } = this.#parts.backend
    const seconds = this.#parts.random() * backoffWindow(attempt - 1, minBackoffWindow, maxBackoffWindow)
    return delaySeconds('maxBackoffWindow', Math.min(seconds, capabilities.maxDelaySeconds), capabilities, label)
  }

  async #release(task: LeasedTask, options: { delaySeconds: number; failure: Failure }): Promise<void> {
    const error = (await this.#parts.leasing.release(this.#parts.backend, [task], options)).get(task)
    if (error === undefined) return
    if (!(error instanceof LeaseLostError)) throw error
    this.#parts.events.emit('lost', { task, error })
  }

  /**
   * Moves a task to the dead letters: first it is there, then it leaves the queue. Who dies between the two leaves it in
   * both, and the next worker buries it again under the same id.
   */
  async #bury(task: LeasedTask, failure: Failure): Promise<boolean> {
    const dead = await this.#parts.openDeadLetters()
    if (dead === undefined) return false
    const { backend } = dead
    const failures = [...((await this.#parts.backend.failures?.(task)) ?? []), failure]
    const write = messageWriter(backend.queueName, { ascii: backend.capabilities.asciiBodies ?? false })
    const message = { id: task.id, body: write(task.payloadText, task.id, failures) }
    const [notStored] = await backend.insert([message], { delaySeconds: 0 })
    if (notStored !== undefined) throw notStored.error
    await backend.addInserted?.(1)
    const error = (await this.#parts.leasing.delete(this.#parts.backend, [task], { tally: false })).get(task)
    if (error instanceof LeaseLostError) this.#parts.events.emit('lost', { task, error })
    else if (error !== undefined) throw error
    return true
  }

  async #deadLetterUrl(): Promise<string> {
    return (await this.#parts.openDeadLetters())?.url ?? ''
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
