/** From the queue to calls that are ready to run: leases, looks at what came, and waits where nothing did. */
import { type Call, toCall } from '../call.js'
import { isEmpty } from '../emptiness.js'
import type { LeasedTask } from '../queued-task.js'
import { Backoff } from './backoff.js'
import type { FailurePolicy } from './failure-policy.js'
import type { LeaseSourceOwner } from './lease-source.js'
import { isBackoffException } from './poll-options.js'
import type { WorkRecord } from './work-record.js'
import type { WorkerParts } from './worker-parts.js'

/** What an {@link Intake} asks of its worker, and tells it. */
export interface IntakeOwner {
  /** A leased task will be run; from now on its lease is kept. */
  onAdmitted(call: Call): void
  /** The worker stopped while these were on their way. */
  onLate(calls: readonly Call[]): void
  /** Whether `stopFn` says to stop. */
  askedToStop(): boolean
  /** Whether tasks of this worker are still running or being removed. */
  isBusy(): boolean
}

export class Intake implements LeaseSourceOwner {
  readonly #parts: WorkerParts
  readonly #leaseSeconds: number
  readonly #policy: FailurePolicy
  readonly #record: WorkRecord
  readonly #owner: IntakeOwner
  readonly #backoff: Backoff
  readonly #stopped = new AbortController()
  #pauseSeconds = 0
  #endSleep: (() => void) | undefined

  constructor(parts: WorkerParts, leaseSeconds: number, policy: FailurePolicy, record: WorkRecord, owner: IntakeOwner) {
    const { settings, random } = parts
    this.#parts = parts
    this.#leaseSeconds = leaseSeconds
    this.#policy = policy
    this.#record = record
    this.#owner = owner
    this.#backoff = new Backoff(settings.minBackoffWindow, settings.maxBackoffWindow, random)
  }

  /** Leases no more; a wait ends. */
  stop(): void {
    this.#stopped.abort()
  }

  /** The last task that ran here is settled: with `untilEmpty` that may have been the last one of all. */
  settled(): void {
    if (this.#parts.settings.untilEmpty) this.#endSleep?.()
  }

  /** A task asked for a pause (`backoffExceptions`): the next look at the queue is put off. */
  pause(): void {
    this.#pauseSeconds = this.#backoff.miss()
  }

  async lease(max: number): Promise<Call[] | undefined> {
    const { backend, events } = this.#parts
    const pauseSeconds = this.#pauseSeconds
    this.#pauseSeconds = 0
    if (pauseSeconds > 0) await this.#sleep(pauseSeconds)
    if (this.#over) return undefined
    // The first look wants an answer at once; the wait after a miss is the engine's where it can wait by itself.
    const waitSeconds = backend.capabilities.longPolling && this.#record.tries > 0 ? this.#backoff.windowSeconds : 0
    this.#record.tries++
    const tasks = await this.#leaseOrMiss(max, waitSeconds)
    if (tasks.length === 0) return undefined
    this.#record.tries = 0
    this.#backoff.reset()
    const calls: Call[] = []
    for (const task of tasks) {
      events.emit('leased', { task })
      const call = this.#admit(task)
      // Most tasks need nothing awaited, and an await for each would cost more than the rest of this loop.
      const admitted = call instanceof Promise ? await call : call
      if (admitted !== undefined) calls.push(admitted)
    }
    if (!this.#stopped.signal.aborted) return calls
    this.#owner.onLate(calls)
    return []
  }

  async idle(): Promise<boolean> {
    const { backend, events, settings } = this.#parts
    if (this.#over || this.#owner.askedToStop()) return false
    if (settings.untilEmpty && !this.#owner.isBusy() && (await this.#foundEmpty())) return false
    const waitSeconds = this.#backoff.miss()
    events.emit('idle', { waitSeconds })
    if (!backend.capabilities.longPolling) await this.#sleep(waitSeconds)
    return !this.#over
  }

  /** Stopped, or too late to begin a task that takes as long as the longest one did. */
  get #over(): boolean {
    const { untilMs } = this.#parts.settings
    if (this.#stopped.signal.aborted) return true
    return untilMs !== undefined && this.#parts.clock.nowMs() + this.#record.longestSeconds * 1000 >= untilMs
  }

  async #leaseOrMiss(max: number, waitSeconds: number): Promise<LeasedTask[]> {
    const { backend, leasing, settings } = this.#parts
    const plan = { seconds: this.#leaseSeconds, max, waitSeconds, signal: this.#stopped.signal }
    try {
      return await leasing.lease(backend, plan)
    } catch (error) {
      if (isBackoffException(error, settings.backoffExceptions)) return []
      throw error
    }
  }

  /** Makes a leased task ready to run; `undefined` if it can't, or shall not, be run here. */
  #admit(task: LeasedTask, excused = false): Call | Promise<Call | undefined> {
    const { beforeFn, executeArgs, maxAttempts } = this.#parts.settings
    if (task.attempt > maxAttempts && !excused) return this.#admitExhausted(task)
    try {
      const bare = task.payload()
      const call = toCall(executeArgs.length > 0 ? [bare, executeArgs] : bare, task.id, task.attempt, task)
      this.#owner.onAdmitted(call)
      return beforeFn === undefined ? call : this.#before(beforeFn, call, task)
    } catch (error) {
      return this.#refuse(task, error)
    }
  }

  async #before(beforeFn: (task: LeasedTask) => unknown, call: Call, task: LeasedTask): Promise<Call> {
    await beforeFn(task)
    return call
  }

  /** Not registered here, or called with too few arguments: other workers may have the code that this one lacks. */
  async #refuse(task: LeasedTask, error: unknown): Promise<undefined> {
    this.#record.failed++
    await this.#policy.failed(task, error, 0)
  }

  async #admitExhausted(task: LeasedTask): Promise<Call | undefined> {
    // Where there are no dead letters it has to be run once more.
    return (await this.#policy.exhausted(task)) ? undefined : this.#admit(task, true)
  }

  async #foundEmpty(): Promise<boolean> {
    const { backend, closing } = this.#parts
    try {
      return await isEmpty(backend, AbortSignal.any([closing, this.#stopped.signal]))
    } catch (error) {
      if (this.#stopped.signal.aborted) return true
      throw error
    }
  }

  #sleep(seconds: number): Promise<void> {
    return new Promise(resolve => {
      const { signal } = this.#stopped
      const wake = () => {
        this.#endSleep = undefined
        cancel()
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const cancel = this.#parts.clock.setAlarm(seconds * 1000, wake)
      if (signal.aborted) wake()
      else signal.addEventListener('abort', wake, { once: true })
      this.#endSleep = signal.aborted ? undefined : wake
    })
  }
}
