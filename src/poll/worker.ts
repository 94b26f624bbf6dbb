/**
 * A worker: leases tasks, runs them, removes them, again and again, and loses none. Everything that changes a lease
 * passes here; what runs tasks (threads or this one) knows nothing of leases.
 */
import { argumentError, MessageRefusedError } from '../errors/errors.js'
import { isError } from '../errors/thrown.js'
import { callAndWait } from '../queue/awaited-functions.js'
import { LeaseKeeper } from '../queue/lease-keeper.js'
import type { LeasedTask } from '../queue/queued-task.js'
import type { Call, FailedOutcome, Outcome } from '../threads/call.js'
import { InlineRun } from '../threads/inline-run.js'
import { ThreadPool } from '../threads/pool.js'
import { ThreadRun } from '../threads/run-on-threads.js'
import type { Run } from '../threads/run-options.js'
import { Semaphore } from '../threads/semaphore.js'
import { endAllThreads } from '../threads/thread-ends.js'
import { onAbort } from '../time/on-abort.js'
import { leaseSeconds } from '../time/seconds.js'
import { AfterFnQueue } from './after-fn-queue.js'
import { type Completed, Completer } from './completer.js'
import { FailurePolicy, type ReleaseOptions, reasonOf, taskError } from './failure-policy.js'
import { Fetcher } from './fetcher.js'
import { type AbortCause, HeldTasks } from './held-tasks.js'
import { LeaseBuffer } from './lease-buffer.js'
import { LoadFailures } from './load-failures.js'
import { PendingWrites } from './pending-writes.js'
import { isBackoffException, type PollSettings } from './poll-options.js'
import { QueueRetries } from './queue-retries.js'
import { renewTasks } from './renewal.js'
import { runListener, taskOf } from './run-listener.js'
import { StatusReporter } from './status-reporter.js'
import { onStopTriggers } from './stop-triggers.js'
import { WorkRecord } from './work-record.js'
import type { WorkerParts } from './worker-parts.js'

/** A task that was leased and has not begun for so long is given back: others may be idle. Milliseconds. */
const maxPrefetchMs = 1_000

/** Tasks of no length: more at once would only be longer in memory, since leasing them takes far longer than handing them over. */
const maxChunk = 512

/** After `graceSeconds`, or a second signal, the queue has so long to take what is removed and given back. Seconds. */
const shutdownSeconds = 10

/** A worker that stops, and whose tasks have ended, waits so long for each answer of the queue. Seconds. */
const silenceSeconds = 60

/** So many tasks may have ended without the queue knowing it before no more are begun. */
const maxUnsettled = 1_000

export class Worker {
  readonly #parts: WorkerParts
  readonly #settings: PollSettings
  readonly #record: WorkRecord
  readonly #fetcher: Fetcher
  readonly #buffer: LeaseBuffer
  readonly #run: Run
  readonly #keeper: LeaseKeeper<LeasedTask>
  readonly #retries: QueueRetries
  readonly #pendingWrites: PendingWrites
  readonly #completer: Completer
  readonly #afterFns: AfterFnQueue
  readonly #policy: FailurePolicy
  readonly #status: StatusReporter
  readonly #held: HeldTasks
  readonly #loadFailures = new LoadFailures()
  /** Aborted when the queue had its time: what it has not answered by then is left to the ends of the leases. */
  readonly #gaveUp = new AbortController()
  #cancelGivingUp: (() => void) | undefined
  #cancelSilence: (() => void) | undefined
  #stopping = false
  #exiting = false
  #cancelGrace: (() => void) | undefined
  #ended = false
  #fatal: { readonly thrown: unknown } | undefined

  constructor(parts: WorkerParts) {
    const { backend, settings, clock } = parts
    const seconds = leaseSeconds('leaseSeconds', settings.leaseSeconds, backend.capabilities, backend.label)
    this.#parts = parts
    this.#settings = settings
    this.#record = new WorkRecord(clock)
    this.#policy = new FailurePolicy(parts, seconds)
    this.#status = new StatusReporter(backend, settings.parallel, this.#record)
    this.#keeper = new LeaseKeeper<LeasedTask>({
      leaseSeconds: seconds,
      renew: (tasks, forSeconds) => renewTasks(parts, tasks, forSeconds),
      onLost: (task, error) => this.#onLeaseLost(task, error),
      onFault: error => process.emitWarning(`Leases of ${backend.label} could not be renewed: ${reasonOf(error)}`),
      clock,
    })
    this.#held = new HeldTasks(this.#keeper)
    this.#retries = new QueueRetries(parts)
    this.#pendingWrites = new PendingWrites(this.#retries, {
      onFault: error => this.#fail(error),
      onSettled: () => {
        this.#stopIfAsked()
        this.#taskSettled()
      },
    })
    this.#afterFns = new AfterFnQueue({
      call: task => this.#callAfterFn(task),
      onFault: error => this.#fail(error),
      onIdle: () => this.#taskSettled(),
    })
    this.#completer = new Completer(parts, this.#retries, {
      onDeleting: task => {
        this.#keeper.drop(task)
        parts.events.emit('deleting', { task })
      },
      onRemoved: completed => this.#removed(completed),
      onLost: (task, error) => {
        parts.events.emit('lost', { task, error })
        this.#fetcher.taskSettled(task)
      },
      // Due at once: nobody knows how much of the lease is left. Else another worker would take it for a death of this one.
      onRetryLater: task => this.#keeper.keep(task, 0),
      onRetry: task => this.#keeper.drop(task),
      onFault: (task, error) => {
        this.#keeper.drop(task)
        if (error instanceof MessageRefusedError) {
          this.#policy.warnOfRefusal(task, 'it ran, and runs again when its lease ends', error)
        } else this.#fail(error)
        this.#fetcher.taskSettled(task)
      },
      onIdle: () => this.#taskSettled(),
    })
    this.#fetcher = new Fetcher(parts, seconds, this.#record, {
      onLeased: tasks => this.#held.add(tasks),
      onCall: (task, call) => this.#held.setCall(task, call),
      onNotRunnable: (task, error) => {
        this.#forget(task)
        this.#failed(task, error, 0)
      },
      deadLetterExhausted: task => this.#deadLetterExhausted(task),
      giveBack: (tasks, options) =>
        this.#giveBack(
          tasks.filter(task => this.#held.has(task)),
          options,
        ),
      onNotMarked: (task, error) => this.#giveBack([task], { delaySeconds: this.#policy.notMarked(task, error) }),
      onLost: (task, error) => this.#onLeaseLost(task, error),
      withdraw: () => void this.#giveBack(this.#withdraw(0)),
      held: () => this.#held.size + this.#completer.pending + this.#pendingWrites.size,
      notEnded: () => this.#held.size,
      isHeld: task => this.#held.has(task),
      askedToStop: () => this.#askedToStop(),
      isBusy: () => this.#held.size > 0 || this.#unsettled > 0,
      onFault: error => this.#fail(error),
    })
    this.#buffer = new LeaseBuffer(this.#fetcher)
    this.#run = this.#start()
    this.#status.start(this.#run)
  }

  /** Works until something ends it; resolves with how many tasks were executed. */
  async work(): Promise<number> {
    const triggers = onStopTriggers(this.#parts, {
      stop: () => this.stop(),
      exitNow: () => this.#exitNow(),
      crash: (...what) => this.#crash(...what),
    })
    const prefetchTimer = setInterval(() => this.#giveBack(this.#withdraw(maxPrefetchMs)), maxPrefetchMs)
    try {
      await this.#unlessGivenUp(this.#run.done)
    } catch (error) {
      this.#fail(error)
    } finally {
      clearInterval(prefetchTimer)
      await this.#unlessGivenUp(this.#finishWrites())
      this.#keeper.close()
      this.#fetcher.close()
      await this.#unlessGivenUp(this.#status.close())
      triggers.dispose()
      this.#ended = true
      this.#cancelGrace?.()
      this.#cancelGivingUp?.()
      this.#cancelSilence?.()
      if (this.#settings.parallel > 0) await ThreadPool.stopUnused()
    }
    // The process is about to exit: its program must not go on as if the worker had ended.
    if (this.#exiting) await new Promise(() => undefined)
    if (this.#fatal !== undefined) throw this.#fatal.thrown
    return this.#record.executed
  }

  /** Begins no more tasks, and gives back at once what has not begun; what runs may finish within `graceSeconds`. */
  stop(): void {
    if (this.#stopping) return
    this.#stopping = true
    this.#retries.end()
    void this.#buffer.stop()
    this.#giveBack([...this.#buffer.withdraw(0), ...this.#run.stop()].map(taskOf))
    this.#watchForSilence()
    const { graceSeconds } = this.#settings
    if (graceSeconds === undefined) return
    this.#cancelGrace = this.#parts.clock.setAlarm(graceSeconds * 1000, () => {
      const error = new Error(`The worker stopped, and the task did not end within graceSeconds (${graceSeconds} s)`)
      for (const task of this.#held.all) this.#abort(task, 'shutdown', error)
      this.#giveUpSoon()
    })
  }

  #giveUpSoon(): void {
    this.#cancelGivingUp ??= this.#parts.clock.setAlarm(shutdownSeconds * 1000, () => this.#giveUp(shutdownSeconds))
  }

  /**
   * Once a worker stops and its tasks and the caller's functions have ended, only answers of the queue are awaited: it gives
   * up where none comes. Called whenever one has come, or a task has ended.
   */
  #watchForSilence(): void {
    this.#cancelSilence?.()
    this.#cancelSilence = undefined
    if (!this.#stopping || this.#ended) return
    if (this.#run.running(1).length > 0 || this.#fetcher.isInBeforeFn || this.#afterFns.pending > 0) return
    this.#cancelSilence = this.#parts.clock.setAlarm(silenceSeconds * 1000, () => this.#giveUp(silenceSeconds))
  }

  #giveUp(afterSeconds: number): void {
    const { label } = this.#parts.backend
    const reason =
      `The worker stopped, and ${label} did not answer within ${afterSeconds} s: what it still held comes back when ` +
      'its lease ends'
    this.#fail(new Error(reason))
    this.#gaveUp.abort()
  }

  /** Waits for what needs the queue's answers, until it is given up. */
  #unlessGivenUp(work: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const stopListening = onAbort(this.#gaveUp.signal, resolve)
      // What is thrown after it was given up says no more: the worker ends with an error already.
      work.then(resolve, reject).finally(stopListening)
    })
  }

  #start(): Run {
    const { parallel, timeoutSeconds, maxMemoryMb, minBackoffSeconds, maxBackoffSeconds, stopFn } = this.#settings
    const options = {
      source: this.#buffer,
      toCall: (call: Call) => call,
      listener: runListener(this.#parts, this.#status, {
        onOutcome: (call, outcome) => this.#onOutcome(call, outcome),
        onRenew: (task, seconds) => this.#renew(task, seconds),
      }),
      idPrefix: '',
      concurrency: 1,
      postAll: true,
      wantsValues: () => this.#parts.events.hasListeners('succeeded'),
      loadBackoff: { minSeconds: minBackoffSeconds, maxSeconds: maxBackoffSeconds },
      // To stop after exactly so many tasks, the next must not begin before the last was counted.
      maxChunk: stopFn === undefined ? maxChunk : 1,
      mayPull: () => (stopFn === undefined ? this.#unsettled < maxUnsettled : this.#unsettled === 0),
    }
    if (parallel === 0) return new InlineRun(options)
    return new ThreadRun({ ...options, parallel, semaphore: new Semaphore(parallel), timeoutSeconds, maxMemoryMb })
  }

  #onOutcome(call: Call, outcome: Outcome): void {
    const task = taskOf(call)
    // NaN: it was not even begun.
    const durationSeconds = Number.isNaN(outcome.elapsedMs) ? 0 : outcome.elapsedMs / 1000
    this.#status.end(call)
    this.#settleOutcome(task, call, outcome, durationSeconds)
    this.#watchForSilence()
  }

  #settleOutcome(task: LeasedTask, call: Call, outcome: Outcome, durationSeconds: number): void {
    const abortCause = this.#held.abortCauseOf(task)
    const counts = abortCause === undefined && outcome.ok
    // False: given back by somebody in a hurry.
    if (!this.#held.drop(task, { keepLease: counts })) return
    if (abortCause === undefined && !outcome.ok && outcome.notLoaded !== undefined) {
      this.#notLoaded(task, call, outcome)
      return
    }
    this.#loadFailures.ran(call)
    if (abortCause === undefined) this.#record.took(durationSeconds)
    if (counts) {
      this.#fetcher.taskEnded()
      this.#completer.add({ task, value: outcome.value, durationSeconds })
      return
    }
    if (abortCause === 'lease-lost') {
      this.#fetcher.taskSettled(task)
      this.#taskSettled()
    } else if (abortCause === 'shutdown' || outcome.ok) this.#giveBack([task])
    else if (isBackoffException(outcome.error, this.#settings.backoffExceptions)) {
      this.#fetcher.pause()
      // What has not begun would meet the same trouble; other workers may not.
      this.#giveBack([task, ...this.#withdraw(0)])
    } else {
      this.#fetcher.taskEnded()
      this.#failed(task, outcome.error, durationSeconds)
    }
  }

  #notLoaded(task: LeasedTask, call: Call, outcome: FailedOutcome): void {
    this.#fetcher.pauseForFile()
    this.#giveBack([task], { delaySeconds: outcome.notLoaded?.retrySeconds ?? 0 })
    if (this.#settings.onError === 'throw') this.#fail(taskError(task, outcome.error, this.#parts.caller))
    const error = this.#loadFailures.add(call, outcome, this.#run.running(Number.POSITIVE_INFINITY))
    if (error !== undefined) this.#fail(error)
  }

  #failed(task: LeasedTask, error: unknown, durationSeconds: number): void {
    this.#record.failed++
    // Where a failure can't be written (a full disk), the task is given back: that takes no writing.
    void this.#pendingWrites
      .add(
        () => this.#policy.failed(task, error, durationSeconds),
        () => this.#policy.release([task]),
      )
      .then(() => this.#fetcher.taskSettled(task))
    if (this.#settings.onError === 'throw') this.#fail(taskError(task, error, this.#parts.caller))
  }

  #removed({ task, value, durationSeconds }: Completed): void {
    this.#record.executed++
    this.#fetcher.taskSettled(task)
    this.#parts.events.emit('deleted', { task, durationSeconds })
    this.#parts.events.emit('succeeded', { task, value, durationSeconds })
    if ((this.#settings.afterFn ?? this.#settings.stopFn) !== undefined) this.#afterFns.add(task)
    this.#watchForSilence()
  }

  async #callAfterFn(task: LeasedTask): Promise<void> {
    const { afterFn } = this.#settings
    if (afterFn !== undefined) await callAndWait(this.#parts.closing, () => afterFn(task))
    this.#stopIfAsked()
  }

  /** A task that has had all its attempts. Meanwhile it is not ours to run, and nobody gives it back. */
  async #deadLetterExhausted(task: LeasedTask): Promise<boolean> {
    this.#forget(task)
    try {
      if (await this.#retries.retryWithBackoff(() => this.#policy.exhausted(task))) return true
    } catch (error) {
      this.#giveBack([task])
      throw error
    }
    this.#held.add([task])
    return false
  }

  async #renew(task: LeasedTask, seconds: number): Promise<void> {
    const lost = (await renewTasks(this.#parts, [task], seconds)).get(task)
    if (lost !== undefined) {
      this.#onLeaseLost(task, lost)
      throw lost
    }
    this.#held.renewed(task, seconds)
  }

  #onLeaseLost(task: LeasedTask, error: Error): void {
    // One that has ended is removed or given back now: whoever does that is told.
    if (!this.#held.has(task)) return
    this.#parts.events.emit('lost', { task, error })
    this.#abort(task, 'lease-lost', error)
  }

  /** Ends a held task, whatever it does. */
  #abort(task: LeasedTask, cause: AbortCause, error: Error): void {
    this.#held.setAbortCause(task, cause)
    const call = this.#held.callOf(task)
    if (call !== undefined && this.#run.abort(call, error)) return
    if (this.#held.abortCauseOf(task) === 'shutdown') this.#giveBack([task])
    else {
      this.#forget(task)
      this.#fetcher.taskSettled(task)
    }
  }

  #forget(task: LeasedTask): void {
    this.#status.end(this.#held.callOf(task))
    this.#held.drop(task)
  }

  /** Takes back what was handed out so long ago and has not begun. */
  #withdraw(olderThanMs: number): LeasedTask[] {
    return [...this.#buffer.withdraw(olderThanMs), ...this.#run.withdraw(olderThanMs)].map(taskOf)
  }

  async #giveBack(tasks: readonly LeasedTask[], options?: ReleaseOptions): Promise<void> {
    if (tasks.length === 0) return
    for (const task of tasks) this.#forget(task)
    this.#watchForSilence()
    await this.#pendingWrites.add(() => this.#policy.release(tasks, options))
    for (const task of tasks) this.#fetcher.taskSettled(task)
  }

  /** Tasks that have ended and whose end the queue doesn't know yet. */
  get #unsettled(): number {
    return this.#completer.pending + this.#pendingWrites.size + this.#afterFns.pending
  }

  #taskSettled(): void {
    this.#watchForSilence()
    this.#run.resume()
    if (this.#held.size === 0 && this.#unsettled === 0) this.#fetcher.allSettled()
  }

  async #finishWrites(): Promise<void> {
    await this.#buffer.stop()
    await this.#completer.done()
    await this.#afterFns.done()
    // Left by threads that died while the worker stopped.
    this.#giveBack(this.#held.all)
    await this.#pendingWrites.done()
  }

  /**
   * The process dies of an uncaught exception. A task that runs in this thread is most likely its cause, and would be again:
   * that attempt failed. What runs elsewhere is given back.
   */
  async #crash(thrown: unknown, origin: NodeJS.UncaughtExceptionOrigin): Promise<void> {
    if (this.#settings.parallel === 0 && !isOutputError(thrown)) {
      for (const { call, startedAtMs } of this.#run.running(Number.POSITIVE_INFINITY)) {
        const task = taskOf(call)
        if (!this.#held.has(task)) continue
        const what = origin === 'unhandledRejection' ? 'a rejection that was not handled' : 'an uncaught exception'
        const error = new Error(`The worker died of ${what} while this task ran: ${reasonOf(thrown)}`, {
          cause: thrown,
        })
        this.#forget(task)
        this.#failed(task, error, Math.max(0, Date.now() - startedAtMs) / 1000)
      }
    }
    await this.#exitNow()
  }

  /** In a hurry: what runs is given back as it is, what has run is removed. */
  async #exitNow(): Promise<void> {
    this.#exiting = true
    this.#giveUpSoon()
    this.#giveBack(this.#held.all)
    const threads = endAllThreads()
    await this.#unlessGivenUp(Promise.all([this.#buffer.stop(), this.#completer.done()]).then(() => undefined))
    await this.#unlessGivenUp(this.#pendingWrites.done())
    await this.#unlessGivenUp(this.#status.close())
    await threads
  }

  #fail(thrown: unknown): void {
    this.#fatal ??= { thrown }
    this.stop()
  }

  #stopIfAsked(): void {
    if (this.#stopping) return
    try {
      if (this.#askedToStop()) this.stop()
    } catch (error) {
      this.#fail(error)
    }
  }

  #askedToStop(): boolean {
    const stop: unknown = this.#settings.stopFn?.(this.#record.state)
    // A promise would be true for ever, or never.
    if (stop === undefined || typeof stop === 'boolean') return stop === true
    throw argumentError('stopFn', 'a function that returns true or false', stop)
  }
}

/** Whether stdout or stderr could not be written: a full disk, a terminal that is gone. No task is to blame. */
function isOutputError(thrown: unknown): boolean {
  return isError(thrown) && (thrown as NodeJS.ErrnoException).syscall === 'write'
}
