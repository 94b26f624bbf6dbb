/**
 * A worker: leases tasks, runs them, removes them, again and again, and loses none. Everything that changes a lease
 * passes here; what runs tasks (threads or this one) knows nothing of leases.
 */
import type { Backend } from '../backend.js'
import type { Call, Outcome } from '../call.js'
import { toCall } from '../call.js'
import type { Clock } from '../clock.js'
import { isEmpty } from '../emptiness.js'
import { LeaseLostError, TaskError } from '../errors.js'
import { Gate } from '../gate.js'
import type { Leasing } from '../leasing.js'
import { ThreadPool } from '../pool.js'
import type { LeasedTask } from '../queued-task.js'
import { codeName } from '../registry.js'
import { HereRun } from '../run-here.js'
import { ThreadRun } from '../run-on-threads.js'
import type { Run, RunListener } from '../run-options.js'
import { leaseSeconds } from '../seconds.js'
import { onStopSignals } from '../stop-signals.js'
import { Backoff } from './backoff.js'
import { type DeadLetters, FailurePolicy, reasonOf } from './failure-policy.js'
import { Finisher } from './finisher.js'
import { LeaseKeeper } from './lease-keeper.js'
import { LeaseSource } from './lease-source.js'
import { isBackoffException, type PollSettings, type PollState } from './poll-options.js'
import { StatusReporter } from './status-reporter.js'
import type { WorkerEvents } from './worker-events.js'

/** A task that was leased and has not begun for so long is given back: others may be idle. Milliseconds. */
const hoardMs = 1_000

/** So many finished or failed tasks may wait for the queue before no more are begun. */
const maxUnsettled = 1_000

/** What a worker works with. */
export interface WorkerParts {
  readonly backend: Backend
  readonly leasing: Leasing
  readonly events: WorkerEvents
  readonly settings: PollSettings
  readonly openDeadLetters: () => Promise<DeadLetters | undefined>
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Aborted when the queue is closed. */
  readonly closing: AbortSignal
}

export class Worker {
  readonly #parts: WorkerParts
  readonly #settings: PollSettings
  readonly #leaseSeconds: number
  readonly #source: LeaseSource
  readonly #run: Run
  readonly #keeper: LeaseKeeper<Call>
  readonly #finisher: Finisher
  readonly #policy: FailurePolicy
  readonly #status: StatusReporter
  readonly #backoff: Backoff
  /** Leased calls whose end is not settled. */
  readonly #held = new Set<Call>()
  /** Calls whose lease was lost, or that are stopped with the worker: what they still do counts for nothing. */
  readonly #abandoned = new Set<Call>()
  /** What is being written to the queue for failed and given back tasks. */
  readonly #settling = new Set<Promise<void>>()
  readonly #leaseAbort = new AbortController()
  readonly #startedMs: number
  #stopping = false
  #cancelGrace: (() => void) | undefined
  #fatal: { readonly thrown: unknown } | undefined
  #pauseSeconds = 0
  #executed = 0
  #failed = 0
  #tries = 0
  #previousSeconds: number | undefined
  #longestSeconds = 0

  constructor(parts: WorkerParts) {
    const { backend, leasing, settings, events, clock, random } = parts
    this.#parts = parts
    this.#settings = settings
    this.#startedMs = clock.nowMs()
    this.#leaseSeconds = leaseSeconds('leaseSeconds', settings.leaseSeconds, backend.capabilities, backend.label)
    this.#backoff = new Backoff(settings.minBackoffWindow, settings.maxBackoffWindow, random)
    this.#policy = new FailurePolicy(parts)
    this.#status = new StatusReporter(backend, settings.parallel, () => ({
      executed: this.#executed,
      failed: this.#failed,
    }))
    this.#keeper = new LeaseKeeper<Call>({
      leaseSeconds: this.#leaseSeconds,
      renew: (calls, seconds) => this.#renew(calls, seconds),
      onLost: (call, error) => this.#lose(call, error),
      onFault: error => process.emitWarning(`Leases of ${backend.label} could not be renewed: ${reasonOf(error)}`),
      clock,
    })
    this.#finisher = new Finisher(backend, leasing, settings, {
      onDeleting: task => this.#say(`INFO Deleting ${task.id}`),
      onRemoved: ({ task, value, durationSeconds }) => {
        this.#executed++
        events.emit('succeeded', { task, value, durationSeconds })
        this.#say(`INFO ${nameOf(task)} ${task.id} successfully executed in ${durationSeconds.toFixed(2)} sec.`)
        if (this.#askedToStop()) this.stop()
        return settings.afterFn?.(task)
      },
      onLost: (task, error) => events.emit('lost', { task, error }),
      onFault: error => this.#fail(error),
      onIdle: () => this.#run.resume(),
    })
    this.#source = new LeaseSource({ lease: max => this.#lease(max), idle: () => this.#idle() })
    this.#run = this.#start()
  }

  /** Works until something ends it; resolves with how many tasks were executed. */
  async work(): Promise<number> {
    const { signal } = this.#settings
    const { closing, clock } = this.#parts
    const signals = onStopSignals({
      signals: ['SIGINT', 'SIGTERM'],
      stop: name => {
        this.#say(`INFO ${name}: no more tasks are begun; what runs is finished. Once more to leave at once.`)
        this.stop()
      },
      leave: () => this.#policy.release([...this.#held].map(taskOf)),
    })
    const stop = () => this.stop()
    for (const abort of [signal, closing]) {
      if (abort?.aborted) this.stop()
      else abort?.addEventListener('abort', stop, { once: true })
    }
    const hoarding = setInterval(
      () => this.#giveBack([...this.#source.withdraw(hoardMs), ...this.#run.withdraw(hoardMs)]),
      hoardMs,
    )
    const cancelUntil = this.#stopAt(clock)
    try {
      await this.#run.done
    } catch (error) {
      this.#fail(error)
    } finally {
      clearInterval(hoarding)
      cancelUntil?.()
      this.#cancelGrace?.()
      await this.#settle()
      this.#keeper.close()
      await this.#status.close()
      signals.dispose()
      for (const abort of [signal, closing]) abort?.removeEventListener('abort', stop)
      if (this.#settings.parallel > 0) await ThreadPool.stopUnused()
    }
    this.#say('Task execution loop exited.')
    if (this.#fatal !== undefined) throw this.#fatal.thrown
    return this.#executed
  }

  /** Begins no more tasks, and gives back at once what has not begun; what runs may finish within `graceSeconds`. */
  stop(): void {
    if (this.#stopping) return
    this.#stopping = true
    this.#leaseAbort.abort()
    void this.#source.stop()
    this.#giveBack([...this.#source.withdraw(0), ...this.#run.stop()])
    const { graceSeconds } = this.#settings
    if (graceSeconds === undefined) return
    this.#cancelGrace = this.#parts.clock.setAlarm(graceSeconds * 1000, () => {
      const error = new Error(
        `The worker was asked to stop, and the task did not end within graceSeconds (${graceSeconds} s)`,
      )
      for (const call of this.#held) this.#abandon(call, error)
    })
  }

  #start(): Run {
    const { parallel, timeoutSeconds, maxMemoryMb, stopFn } = this.#settings
    const { events } = this.#parts
    const listener: RunListener = {
      onStart: call => {
        this.#status.begin(call)
        events.emit('started', { task: taskOf(call) })
        this.#say(`INFO Running ${codeName(call.code)} (id: ${call.idSuffix})`)
      },
      onOutcome: (call, outcome) => this.#ended(call, outcome),
      onProgress: (call, fraction, note) => {
        this.#status.progress(call, fraction, note)
        events.emit('progress', { task: taskOf(call), fraction, note })
      },
      onLog: (call, line) => {
        if (events.hears('log')) events.emit('log', { task: taskOf(call), line })
        else console.error(line)
      },
      onRenew: async (call, seconds) => {
        const error = (await this.#renew([call], seconds)).get(call)
        if (error !== undefined) throw error
        this.#keeper.keep(call, seconds)
      },
      onStray: (taskId, error) =>
        process.emitWarning(`Task ${taskId ?? '(unknown)'} threw after its end: ${reasonOf(error)}`),
    }
    const options = {
      source: this.#source,
      toCall: (call: Call) => call,
      listener,
      idPrefix: '',
      concurrency: 1,
      postAll: true,
      // To stop after exactly so many tasks, the next must not begin before the last was counted.
      ...(stopFn !== undefined && { maxChunk: 1 }),
      mayPull: () => {
        const unsettled = this.#finisher.pending + this.#settling.size
        return stopFn === undefined ? unsettled < maxUnsettled : unsettled === 0
      },
    }
    if (parallel === 0) return new HereRun(options)
    return new ThreadRun({ ...options, parallel, gate: new Gate(parallel), timeoutSeconds, maxMemoryMb })
  }

  async #lease(max: number): Promise<Call[] | undefined> {
    const { backend, leasing, clock, events } = this.#parts
    if (this.#pauseSeconds > 0) {
      const seconds = this.#pauseSeconds
      this.#pauseSeconds = 0
      await this.#sleep(seconds)
    }
    if (this.#stopping || this.#tooLate(clock.nowMs())) return undefined
    this.#tries++
    const waitSeconds = backend.capabilities.longPolling === true && this.#tries > 1 ? this.#backoff.windowSeconds : 0
    const tasks = await this.#leaseOrBackOff(leasing, {
      seconds: this.#leaseSeconds,
      max,
      waitSeconds,
      signal: this.#leaseAbort.signal,
    })
    if (tasks.length === 0) return undefined
    this.#tries = 0
    this.#backoff.reset()
    const calls: Call[] = []
    for (const task of tasks) {
      events.emit('leased', { task })
      const call = await this.#admit(task)
      if (call !== undefined) calls.push(call)
    }
    if (!this.#stopping) return calls
    // Stopped while these were on their way.
    this.#giveBack(calls)
    return []
  }

  async #leaseOrBackOff(leasing: Leasing, plan: Parameters<Leasing['lease']>[1]): Promise<LeasedTask[]> {
    try {
      return await leasing.lease(this.#parts.backend, plan)
    } catch (error) {
      if (isBackoffException(error, this.#settings.backoffExceptions)) return []
      throw error
    }
  }

  /** Makes a leased task ready to run; `undefined` if it can't, or shall not, be run here. */
  async #admit(task: LeasedTask): Promise<Call | undefined> {
    const { beforeFn, executeArgs, maxAttempts } = this.#settings
    if (task.attempt > maxAttempts && (await this.#policy.exhausted(task))) return undefined
    let call: Call
    try {
      const bare = task.payload()
      call = { ...toCall(executeArgs.length > 0 ? [bare, executeArgs] : bare, task.id, task.attempt), task }
    } catch (error) {
      this.#failed++
      await this.#policy.failed(task, error, 0)
      return undefined
    }
    this.#held.add(call)
    this.#keeper.keep(call)
    await beforeFn?.(task)
    return call
  }

  /** Nothing was found. False: the worker ends. */
  async #idle(): Promise<boolean> {
    const { backend, events, clock, closing } = this.#parts
    if (this.#stopping || this.#tooLate(clock.nowMs()) || this.#askedToStop()) return false
    if (this.#settings.untilEmpty && this.#held.size === 0 && this.#finisher.pending === 0) {
      if (await isEmpty(backend, AbortSignal.any([closing, this.#leaseAbort.signal])).catch(this.#unlessStopping))
        return false
    }
    const waitSeconds = this.#backoff.miss()
    events.emit('idle', { waitSeconds })
    if (backend.capabilities.longPolling !== true) await this.#sleep(waitSeconds)
    return !this.#stopping
  }

  readonly #unlessStopping = (error: unknown): boolean => {
    if (this.#stopping) return true
    throw error
  }

  #sleep(seconds: number): Promise<void> {
    return new Promise(resolve => {
      const { signal } = this.#leaseAbort
      const wake = () => {
        cancel()
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const cancel = this.#parts.clock.setAlarm(seconds * 1000, wake)
      if (signal.aborted) wake()
      else signal.addEventListener('abort', wake, { once: true })
    })
  }

  #ended(call: Call, outcome: Outcome): void {
    const task = taskOf(call)
    const durationSeconds = Number.isNaN(outcome.elapsedMs) ? this.#status.ageSeconds(call) : outcome.elapsedMs / 1000
    this.#status.end(call)
    this.#keeper.drop(call)
    this.#held.delete(call)
    if (this.#abandoned.delete(call)) return
    this.#previousSeconds = durationSeconds
    this.#longestSeconds = Math.max(this.#longestSeconds, durationSeconds)
    if (outcome.ok) {
      this.#finisher.add({ task, value: outcome.value, durationSeconds })
      return
    }
    const { error } = outcome
    if (isBackoffException(error, this.#settings.backoffExceptions)) {
      this.#pauseSeconds = this.#backoff.miss()
      this.#settleLater(this.#policy.release([task]))
      return
    }
    this.#failed++
    this.#say(`ERROR ${codeName(call.code)} ${task.id} raised ${reasonOf(error)}`)
    this.#settleLater(this.#policy.failed(task, error, durationSeconds))
    if (this.#settings.onError === 'throw') this.#fail(taskError(call, error))
    else if (this.#askedToStop()) this.stop()
  }

  #renew(calls: readonly Call[], seconds: number): Promise<ReadonlyMap<Call, Error>> {
    return renewCalls(this.#parts, calls, seconds)
  }

  #lose(call: Call, error: Error): void {
    this.#parts.events.emit('lost', { task: taskOf(call), error })
    this.#abandoned.add(call)
    this.#run.abort(call, error)
  }

  /** Stops a running task for the worker's sake: it is given back, and no attempt is counted. */
  #abandon(call: Call, error: Error): void {
    if (this.#abandoned.has(call)) return
    this.#abandoned.add(call)
    this.#run.abort(call, error)
    this.#settleLater(this.#policy.release([taskOf(call)]))
  }

  #giveBack(calls: readonly Call[]): void {
    for (const call of calls) {
      this.#keeper.drop(call)
      this.#held.delete(call)
      this.#status.end(call)
    }
    this.#settleLater(this.#policy.release(calls.map(taskOf)))
  }

  #settleLater(settling: Promise<void>): void {
    const settled = settling
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#settling.delete(settled)
        this.#run.resume()
      })
    this.#settling.add(settled)
  }

  async #settle(): Promise<void> {
    await this.#finisher.done()
    // Left by a thread that died while the worker stopped, or by `beforeFn` that threw.
    this.#giveBack([...this.#held])
    while (this.#settling.size > 0) await Promise.all(this.#settling)
  }

  #fail(thrown: unknown): void {
    this.#fatal ??= { thrown }
    this.stop()
  }

  #askedToStop(): boolean {
    const state: PollState = {
      executed: this.#executed,
      failed: this.#failed,
      tries: this.#tries,
      previousExecutionSeconds: this.#previousSeconds,
      elapsedSeconds: (this.#parts.clock.nowMs() - this.#startedMs) / 1000,
    }
    return this.#settings.stopFn?.(state) === true
  }

  #tooLate(nowMs: number): boolean {
    const { untilMs } = this.#settings
    return untilMs !== undefined && nowMs + this.#longestSeconds * 1000 >= untilMs
  }

  #stopAt(clock: Clock): (() => void) | undefined {
    const { untilMs } = this.#settings
    return untilMs === undefined ? undefined : clock.setAlarm(Math.max(0, untilMs - clock.nowMs()), () => this.stop())
  }

  #say(line: string): void {
    if (this.#settings.verbose) console.log(line)
  }
}

async function renewCalls(
  { backend, leasing, events }: WorkerParts,
  calls: readonly Call[],
  seconds: number,
): Promise<ReadonlyMap<Call, Error>> {
  const rounded = leaseSeconds('seconds', seconds, backend.capabilities, backend.label)
  const failed = await leasing.renew(backend, calls.map(taskOf), rounded)
  const lost = new Map<Call, Error>()
  for (const call of calls) {
    const error = failed.get(taskOf(call))
    if (error instanceof LeaseLostError) lost.set(call, error)
    else if (error !== undefined) throw error
    else events.emit('renewed', { task: taskOf(call), seconds: rounded })
  }
  return lost
}

/** A worker's calls carry the leased task they were made from. */
function taskOf(call: Call): LeasedTask {
  return call.task as LeasedTask
}

function nameOf(task: LeasedTask): string {
  const payload = task.payload()
  return Array.isArray(payload) ? payload[0].join('.') : payload.class
}

function taskError(call: Call, cause: unknown): TaskError {
  const { id, attempt } = taskOf(call)
  const message = `Task ${codeName(call.code)} (${id}) failed at attempt ${attempt}: ${reasonOf(cause)}`
  return new TaskError(message, { task: call.task, id, attempt, cause })
}
