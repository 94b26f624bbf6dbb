/**
 * A worker: leases tasks, runs them, removes them, again and again, and loses none. Everything that changes a lease
 * passes here; what runs tasks (threads or this one) knows nothing of leases.
 */
import type { Call, Outcome } from '../call.js'
import type { Clock } from '../clock.js'
import { LeaseLostError, TaskError } from '../errors.js'
import { Gate } from '../gate.js'
import { ThreadPool } from '../pool.js'
import type { LeasedTask } from '../queued-task.js'
import { codeName } from '../registry.js'
import { HereRun } from '../run-here.js'
import { ThreadRun } from '../run-on-threads.js'
import type { Run, RunListener } from '../run-options.js'
import { leaseSeconds } from '../seconds.js'
import { onStopSignals } from '../stop-signals.js'
import { FailurePolicy, reasonOf } from './failure-policy.js'
import { Finisher } from './finisher.js'
import { Intake } from './intake.js'
import { LeaseKeeper } from './lease-keeper.js'
import { LeaseSource } from './lease-source.js'
import { isBackoffException, type PollSettings } from './poll-options.js'
import { StatusReporter } from './status-reporter.js'
import { WorkRecord } from './work-record.js'
import type { WorkerParts } from './worker-parts.js'

/** A task that was leased and has not begun for so long is given back: others may be idle. Milliseconds. */
const hoardMs = 1_000

/** Tasks of no length: more at once would only be longer in memory, since leasing them takes far longer than handing them over. */
const maxChunk = 512

/** So many finished or failed tasks may wait for the queue before no more are begun. */
const maxUnsettled = 1_000

export class Worker {
  readonly #parts: WorkerParts
  readonly #settings: PollSettings
  readonly #record: WorkRecord
  readonly #intake: Intake
  readonly #source: LeaseSource
  readonly #run: Run
  readonly #keeper: LeaseKeeper<Call>
  readonly #finisher: Finisher
  readonly #policy: FailurePolicy
  readonly #status: StatusReporter
  /** Leased calls whose end is not settled. */
  readonly #held = new Set<Call>()
  /** Calls whose lease was lost, or that are stopped with the worker: what they still do counts for nothing. */
  readonly #abandoned = new Set<Call>()
  /** What is being written to the queue for failed and given back tasks. */
  readonly #settling = new Set<Promise<void>>()
  #stopping = false
  #cancelGrace: (() => void) | undefined
  #fatal: { readonly thrown: unknown } | undefined

  constructor(parts: WorkerParts) {
    const { backend, leasing, settings, events, clock } = parts
    const seconds = leaseSeconds('leaseSeconds', settings.leaseSeconds, backend.capabilities, backend.label)
    this.#parts = parts
    this.#settings = settings
    this.#record = new WorkRecord(clock)
    this.#policy = new FailurePolicy(parts)
    this.#status = new StatusReporter(backend, settings.parallel, this.#record)
    this.#keeper = new LeaseKeeper<Call>({
      leaseSeconds: seconds,
      renew: (calls, forSeconds) => renewCalls(parts, calls, forSeconds),
      onLost: (call, error) => this.#lose(call, error),
      onFault: error => process.emitWarning(`Leases of ${backend.label} could not be renewed: ${reasonOf(error)}`),
      clock,
    })
    this.#finisher = new Finisher(backend, leasing, settings, {
      onDeleting: task => events.emit('deleting', { task }),
      onRemoved: ({ task, value, durationSeconds }) => {
        this.#record.executed++
        events.emit('succeeded', { task, value, durationSeconds })
        if (this.#askedToStop()) this.stop()
        return settings.afterFn?.(task)
      },
      onLost: (task, error) => events.emit('lost', { task, error }),
      onFault: error => this.#fail(error),
      onIdle: () => this.#settledOne(),
    })
    this.#intake = new Intake(parts, seconds, this.#policy, this.#record, {
      onAdmitted: call => {
        this.#held.add(call)
        this.#keeper.keep(call)
      },
      onLate: calls => this.#giveBack(calls),
      askedToStop: () => this.#askedToStop(),
      isBusy: () => this.#isBusy,
    })
    this.#source = new LeaseSource(this.#intake)
    this.#run = this.#start()
  }

  /** Works until something ends it; resolves with how many tasks were executed. */
  async work(): Promise<number> {
    const { signal } = this.#settings
    const { closing, clock } = this.#parts
    const signals = onStopSignals({
      signals: ['SIGINT', 'SIGTERM'],
      stop: () => this.stop(),
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
    if (this.#fatal !== undefined) throw this.#fatal.thrown
    return this.#record.executed
  }

  /** Begins no more tasks, and gives back at once what has not begun; what runs may finish within `graceSeconds`. */
  stop(): void {
    if (this.#stopping) return
    this.#stopping = true
    this.#intake.stop()
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
        const error = (await renewCalls(this.#parts, [call], seconds)).get(call)
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
      maxChunk: stopFn === undefined ? maxChunk : 1,
      mayPull: () => {
        const unsettled = this.#finisher.pending + this.#settling.size
        return stopFn === undefined ? unsettled < maxUnsettled : unsettled === 0
      },
    }
    if (parallel === 0) return new HereRun(options)
    return new ThreadRun({ ...options, parallel, gate: new Gate(parallel), timeoutSeconds, maxMemoryMb })
  }

  #ended(call: Call, outcome: Outcome): void {
    const task = taskOf(call)
    const durationSeconds = Number.isNaN(outcome.elapsedMs) ? this.#status.ageSeconds(call) : outcome.elapsedMs / 1000
    this.#status.end(call)
    this.#keeper.drop(call)
    this.#held.delete(call)
    if (this.#abandoned.delete(call)) return
    this.#record.took(durationSeconds)
    if (outcome.ok) {
      this.#finisher.add({ task, value: outcome.value, durationSeconds })
      return
    }
    const { error } = outcome
    if (isBackoffException(error, this.#settings.backoffExceptions)) {
      this.#intake.pause()
      this.#settleLater(this.#policy.release([task]))
      return
    }
    this.#record.failed++
    this.#settleLater(this.#policy.failed(task, error, durationSeconds))
    if (this.#settings.onError === 'throw') this.#fail(taskError(call, error))
    else if (this.#askedToStop()) this.stop()
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
        this.#settledOne()
      })
    this.#settling.add(settled)
  }

  get #isBusy(): boolean {
    return this.#held.size > 0 || this.#finisher.pending > 0 || this.#settling.size > 0
  }

  #settledOne(): void {
    this.#run.resume()
    if (!this.#isBusy) this.#intake.settled()
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
    return this.#settings.stopFn?.(this.#record.state) === true
  }

  #stopAt(clock: Clock): (() => void) | undefined {
    const { untilMs } = this.#settings
    return untilMs === undefined ? undefined : clock.setAlarm(Math.max(0, untilMs - clock.nowMs()), () => this.stop())
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

function taskError(call: Call, cause: unknown): TaskError {
  const { id, attempt } = taskOf(call)
  const message = `Task ${codeName(call.code)} (${id}) failed at attempt ${attempt}: ${reasonOf(cause)}`
  return new TaskError(message, { task: call.task, id, attempt, cause })
}
