/**
 * A worker: leases tasks, runs them and deletes them until it is stopped. Every change of a lease goes through here; the
 * code that runs tasks (in threads or inline) knows nothing of leases.
 */
import { argumentError, MessageRefusedError, UnregisteredTaskError } from '../errors/errors.js'
import { isError, isInstanceOf } from '../errors/thrown.js'
import { callAndWait } from '../queue/awaited-functions.js'
import { LeaseKeeper } from '../queue/lease-keeper.js'
import type { MessageLeases } from '../queue/leasing.js'
import { type LeasedTask, leasedMessage, PackedTask } from '../queue/queued-task.js'
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
import { PackLeases } from './pack-leases.js'
import { PendingWrites } from './pending-writes.js'
import { isBackoffException, type PollSettings } from './poll-options.js'
import { QueueRetries } from './queue-retries.js'
import { renewTasks } from './renewal.js'
import { runListener, taskOf } from './run-listener.js'
import { StatusReporter } from './status-reporter.js'
import { onStopTriggers } from './stop-triggers.js'
import { WorkRecord } from './work-record.js'
import type { WorkerParts } from './worker-parts.js'

/** A task that was leased and has not started for this long is released: other workers may be idle. */
const maxPrefetchMs = 1_000

/** Most tasks in a chunk for a thread: leasing takes far longer than handing over, so more would only take memory. */
const maxChunk = 512

/** Time for the last deletions and releases after `graceSeconds` or a second signal. */
const shutdownSeconds = 10

/** Longest wait for an answer of the queue, once the worker is stopping and its tasks have ended. */
const silenceSeconds = 60

/** No more tasks are started while this many ended ones are not yet written to the queue. */
const maxUnsettled = 1_000

export class Worker {
  readonly #parts: WorkerParts
  readonly #packs: PackLeases
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
  /** Aborted when the queue did not answer in time: remaining leases end by themselves. */
  readonly #gaveUp = new AbortController()
  #cancelGivingUp: (() => void) | undefined
  #cancelSilence: (() => void) | undefined
  #stopping = false
  #exiting = false
  #cancelGrace: (() => void) | undefined
  #ended = false
  #fatal: { readonly thrown: unknown } | undefined

  constructor(given: Omit<WorkerParts, 'leasing'> & { readonly leasing: MessageLeases }) {
    const { backend, settings, clock } = given
    const seconds = leaseSeconds('leaseSeconds', settings.leaseSeconds, backend.capabilities, backend.label)
    const packOptions = { tally: settings.tally, threads: settings.parallel, clock }
    this.#packs = new PackLeases(backend, given.leasing, packOptions, {
      onOver: message => this.#completer.add({ task: message, value: undefined, durationSeconds: 0 }),
      onFailed: (message, error) => {
        this.#keeper.drop(message)
        this.#failed(message, error, 0)
      },
      onReleased: message => {
        this.#keeper.drop(message)
        this.#fetcher.taskSettled(message)
      },
      onLost: (message, error) => this.#onLeaseLost(message, error),
      onNotWritten: error =>
        process.emitWarning(`The progress of a pack of ${backend.label} could not be written: ${reasonOf(error)}`),
    })
    const parts: WorkerParts = { ...given, leasing: this.#packs }
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
      // Due at once, since the rest of the lease is unknown: an ended lease would count as a death of this worker.
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
    this.#fetcher = new Fetcher(parts, this.#packs, seconds, this.#record, {
      onLeased: tasks => this.#held.add(tasks),
      onQueueEnd: () => this.#loadFailures.sawEnd(),
      onCall: (task, call) => this.#held.setCall(task, call),
      onNotRunnable: (task, error) => {
        this.#forget(task)
        this.#failed(task, error, 0)
      },
      // From now on its tasks are held, and its lease as long as one of them is.
      onOpened: pack => this.#held.drop(pack, { keepLease: true }),
      splitPack: pack => this.#splitPack(pack),
      onRefused: tasks => {
        for (const task of tasks) this.#forget(task)
      },
      deadLetterExhausted: task => this.#deadLetterExhausted(task),
      giveBack: (tasks, options) =>
        this.#giveBack(
          tasks.filter(task => this.#held.has(task)),
          options,
        ),
      onNotMarked: (task, error) => this.#giveBack([task], { delaySeconds: this.#policy.notMarked(task, error) }),
      onLost: (task, error) => this.#onLeaseLost(task, error),
      withdraw: () => this.#giveBackAll(this.#withdraw(0)),
      held: () => this.#held.leases + this.#packs.size + this.#completer.pending + this.#pendingWrites.size,
      notEnded: () => this.#held.size,
      isHeld: task => this.#held.has(task),
      askedToStop: () => this.#askedToStop(),
      isBusy: () => this.#held.size > 0 || this.#packs.size > 0 || this.#unsettled > 0,
      onFault: error => this.#fail(error),
    })
    this.#buffer = new LeaseBuffer(this.#fetcher)
    this.#run = this.#start()
    this.#status.start(this.#run)
  }

  /** Works until stopped; resolves with the number of executed tasks. */
  async work(): Promise<number> {
    const triggers = onStopTriggers(this.#parts, {
      stop: () => this.stop(),
      exitNow: () => this.#exitNow(),
      crash: (...what) => this.#crash(...what),
    })
    const prefetchTimer = setInterval(() => this.#shareWork(), maxPrefetchMs)
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

  /** Starts no more tasks and releases those that have not started; running ones may finish within `graceSeconds`. */
  stop(): void {
    if (this.#stopping) return
    this.#stopping = true
    this.#retries.end()
    void this.#buffer.stop()
    this.#giveBackAll([...this.#buffer.withdraw(0), ...this.#run.stop()].map(taskOf))
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
   * Gives up when the queue does not answer: once a stopping worker's tasks and the caller's functions have ended, only the
   * queue is awaited. Called after each answer and each end of a task.
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

  /** Awaits `work`, which depends on the queue, until {@link #giveUp}. */
  #unlessGivenUp(work: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const stopListening = onAbort(this.#gaveUp.signal, resolve)
      // A later error adds nothing: the worker ends with an error already.
      work.then(resolve, reject).finally(stopListening)
    })
  }

  #start(): Run {
    const { parallel, timeoutSeconds, maxMemoryMb, minBackoffSeconds, maxBackoffSeconds, stopFn } = this.#settings
    const { commands, spans } = this.#parts
    const isInline = parallel === 0 || commands !== undefined
    const listener = runListener(this.#parts, this.#status, {
      onOutcome: (call, outcome) => this.#onOutcome(call, outcome),
      onRenew: (task, seconds) => this.#renew(task, seconds),
    })
    const options = {
      source: this.#buffer,
      toCall: (call: Call) => call,
      listener: spans?.traced(listener) ?? listener,
      tracing: spans?.tracing,
      idPrefix: '',
      concurrency: commands === undefined ? 1 : parallel,
      postAll: true,
      wantsValues: () => this.#parts.results?.wantsValues === true || this.#parts.events.hasListeners('succeeded'),
      loadBackoff: { minSeconds: minBackoffSeconds, maxSeconds: maxBackoffSeconds },
      // `stopFn` may stop after an exact count: the next task must not start before the last is counted. A span begins when its
      // task is handed to a thread: there it must not wait behind others.
      maxChunk: stopFn === undefined && (isInline || spans === undefined) ? maxChunk : 1,
      mayPull: () => (stopFn === undefined ? this.#unsettled < maxUnsettled : this.#unsettled === 0),
    }
    if (isInline) return new InlineRun(options)
    return new ThreadRun({ ...options, parallel, semaphore: new Semaphore(parallel), timeoutSeconds, maxMemoryMb })
  }

  #onOutcome(call: Call, outcome: Outcome): void {
    const task = taskOf(call)
    // NaN: not started.
    const durationSeconds = Number.isNaN(outcome.elapsedMs) ? 0 : outcome.elapsedMs / 1000
    this.#status.end(call)
    this.#settleOutcome(task, call, outcome, durationSeconds)
    this.#watchForSilence()
  }

  #settleOutcome(task: LeasedTask, call: Call, outcome: Outcome, durationSeconds: number): void {
    const abortCause = this.#held.abortCauseOf(task)
    const counts = abortCause === undefined && outcome.ok
    // False: `#exitNow` has released it.
    if (!this.#held.drop(task, { keepLease: counts })) return
    if (abortCause === undefined && !outcome.ok && outcome.notLoaded !== undefined) {
      this.#notLoaded(task, call, outcome)
      return
    }
    this.#loadFailures.ran(call)
    if (abortCause === undefined) this.#record.took(durationSeconds)
    if (counts) {
      this.#fetcher.taskEnded()
      this.#succeeded({ task, value: outcome.value, durationSeconds })
      return
    }
    if (abortCause === 'lease-lost') {
      this.#fetcher.taskSettled(task)
      this.#taskSettled()
    } else if (abortCause === 'shutdown' || outcome.ok) this.#giveBack([task])
    else if (isBackoffException(outcome.error, this.#settings.backoffExceptions)) {
      this.#fetcher.pause()
      // Tasks that have not started would fail too; on other workers they may not.
      this.#giveBackAll([task, ...this.#withdraw(0)])
    } else {
      this.#fetcher.taskEnded()
      this.#failed(task, outcome.error, durationSeconds)
    }
  }

  /** Deletes a task that has succeeded, after its outcome is stored where it is asked for. */
  #succeeded(completed: Completed): void {
    const { task, value, durationSeconds } = completed
    let store: (() => Promise<void>) | undefined
    try {
      store = this.#parts.results?.success(task, value)
    } catch (error) {
      // The value can't be kept, however often the task runs.
      this.#keeper.drop(task)
      this.#failed(task, error, durationSeconds)
      return
    }
    if (store === undefined) {
      this.#complete(completed)
      return
    }
    const write = store
    let isStored = false
    void this.#pendingWrites
      .add(
        async () => {
          await write()
          isStored = true
        },
        () => this.#policy.release([task]),
      )
      .then(() => {
        if (isStored) this.#complete(completed)
        else {
          this.#keeper.drop(task)
          this.#fetcher.taskSettled(task)
        }
      })
  }

  #notLoaded(task: LeasedTask, call: Call, outcome: FailedOutcome): void {
    this.#fetcher.pauseForFile()
    this.#giveBack([task], { delaySeconds: outcome.notLoaded?.retrySeconds ?? 0 })
    if (this.#settings.onError === 'throw') this.#fail(taskError(task, outcome.error, this.#parts.caller))
    const error = this.#loadFailures.add(call, outcome, this.#held)
    if (error !== undefined) this.#fail(error)
  }

  #failed(task: LeasedTask, error: unknown, durationSeconds: number): void {
    this.#record.failed++
    // If a failure can't be written (a full disk), the task is released, which needs no space.
    void this.#pendingWrites
      .add(
        () => this.#policy.failed(task, error, durationSeconds),
        () => this.#policy.release([task]),
      )
      .then(() => this.#fetcher.taskSettled(task))
    if (this.#settings.onError === 'throw') this.#fail(taskError(task, error, this.#parts.caller))
  }

  /** The pack of a task forgets it with the next write; its message is deleted with the last task. */
  #complete(completed: Completed): void {
    const { task } = completed
    if (!(task instanceof PackedTask)) {
      this.#completer.add(completed)
      return
    }
    this.#parts.events.emit('deleting', { task })
    this.#packs.complete(task)
    this.#countExecuted(completed)
  }

  #removed(completed: Completed): void {
    const { task } = completed
    this.#fetcher.taskSettled(task)
    // The tasks of a pack were counted as they ended.
    if (task.isPack) this.#watchForSilence()
    else this.#countExecuted(completed)
  }

  #countExecuted({ task, value, durationSeconds }: Completed): void {
    this.#record.executed++
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

  /** Dead-letters an exhausted task. It is not held during that, so nothing else releases it. */
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

  /** Splits a pack whose holder died: its parts are leased as any other message. */
  async #splitPack(pack: LeasedTask): Promise<void> {
    try {
      await this.#retries.retryWithBackoff(() => this.#packs.split(pack))
    } catch (error) {
      this.#forget(pack)
      if (isInstanceOf(error, UnregisteredTaskError)) {
        this.#failed(pack, error, 0)
        return
      }
      void this.#giveBack([pack])
      throw error
    }
    this.#forget(pack)
    this.#fetcher.taskSettled(pack)
  }

  async #renew(task: LeasedTask, seconds: number): Promise<void> {
    const lost = (await renewTasks(this.#parts, [task], seconds)).get(task)
    if (lost !== undefined) {
      this.#onLeaseLost(leasedMessage(task), lost)
      throw lost
    }
    this.#held.renewed(task, seconds)
  }

  #onLeaseLost(task: LeasedTask, error: Error): void {
    if (this.#packs.has(task)) {
      const tasks = this.#packs.tasksOf(task)
      this.#packs.lost(task)
      this.#keeper.drop(task)
      for (const one of tasks) this.#onLeaseLost(one, error)
      this.#fetcher.taskSettled(task)
      return
    }
    // An ended task is being deleted or released, which reports the lost lease.
    if (!this.#held.has(task)) return
    this.#parts.events.emit('lost', { task, error })
    this.#abort(task, 'lease-lost', error)
  }

  /** Aborts a held task, started or not. */
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

  /** Withdraws tasks that were leased `olderThanMs` ago and have not started. */
  #withdraw(olderThanMs: number): LeasedTask[] {
    return [...this.#buffer.withdraw(olderThanMs), ...this.#run.withdraw(olderThanMs)].map(taskOf)
  }

  /** Gives back tasks, and what has not begun of all packs. */
  #giveBackAll(tasks: readonly LeasedTask[]): void {
    void this.#giveBack(tasks)
    if (this.#packs.size > 0) void this.#pendingWrites.add(() => this.#packs.giveBackAll())
  }

  /** Gives back what idle workers may begin sooner. Tasks of packs are handed out again, unless their pack is shared. */
  #shareWork(): void {
    const packed: PackedTask[] = []
    const others: LeasedTask[] = []
    for (const task of this.#withdraw(maxPrefetchMs)) {
      if (task instanceof PackedTask) packed.push(task)
      else others.push(task)
    }
    void this.#giveBack(others)
    for (const task of packed) this.#forget(task)
    this.#packs.putBack(packed)
    if (this.#packs.size > 0 && !this.#stopping) void this.#packs.maintain().then(() => this.#taskSettled())
  }

  async #giveBack(tasks: readonly LeasedTask[], options?: ReleaseOptions): Promise<void> {
    if (tasks.length === 0) return
    for (const task of tasks) this.#forget(task)
    this.#watchForSilence()
    await this.#pendingWrites.add(() => this.#policy.release(tasks, options))
    for (const task of tasks) this.#fetcher.taskSettled(task)
  }

  /** Number of ended tasks that are not yet written to the queue. */
  get #unsettled(): number {
    return this.#completer.pending + this.#pendingWrites.size + this.#afterFns.pending
  }

  #taskSettled(): void {
    this.#watchForSilence()
    this.#run.resume()
    if (this.#held.size === 0 && this.#packs.size === 0 && this.#unsettled === 0) this.#fetcher.allSettled()
  }

  async #finishWrites(): Promise<void> {
    await this.#buffer.stop()
    await this.#completer.done()
    await this.#afterFns.done()
    // Tasks of threads that died while the worker stopped.
    this.#giveBackAll(this.#held.all)
    await this.#pendingWrites.done()
    // The messages of packs whose last tasks were given back.
    await this.#completer.done()
  }

  /**
   * Handles an uncaught exception, of which the process dies. A task that runs in this thread is most likely the cause: its
   * attempt counts as failed. Tasks in other threads are released.
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

  /** Prepares for an immediate exit: releases running tasks, deletes completed ones. */
  async #exitNow(): Promise<void> {
    this.#exiting = true
    this.#giveUpSoon()
    this.#giveBackAll(this.#held.all)
    const threads = endAllThreads()
    await this.#unlessGivenUp(Promise.all([this.#buffer.stop(), this.#completer.done()]).then(() => undefined))
    await this.#unlessGivenUp(this.#pendingWrites.done())
    await this.#unlessGivenUp(this.#completer.done())
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
    // A promise would always be truthy.
    if (stop === undefined || typeof stop === 'boolean') return stop === true
    throw argumentError('stopFn', 'a function that returns true or false', stop)
  }
}

/** True if stdout or stderr could not be written: a full disk or a closed terminal, not the fault of a task. */
function isOutputError(thrown: unknown): boolean {
  return isError(thrown) && (thrown as NodeJS.ErrnoException).syscall === 'write'
}
