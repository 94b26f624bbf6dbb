/**
 * A worker, from its start to its end. The path of a task through it: a thread asks `LeaseBuffer`, which has `Fetcher` lease the task;
 * `startRun` runs it; `TaskEnds` turns its outcome into a change in the queue.
 */
import { isError } from '../errors/thrown.js'
import type { MessageLeases } from '../queue/leasing.js'
import { ThreadPool } from '../threads/pool.js'
import type { Run } from '../threads/run-options.js'
import { endAllThreads } from '../threads/thread-ends.js'
import { onAbort } from '../time/on-abort.js'
import { leaseSeconds } from '../time/seconds.js'
import { reasonOf } from './failure-reason.js'
import { Fetcher } from './fetcher.js'
import { LeaseBuffer } from './lease-buffer.js'
import { PackUpkeep } from './pack-upkeep.js'
import { taskOf } from './packed-call.js'
import { startRun } from './start-run.js'
import { StatusReporter } from './status-reporter.js'
import { onStopTriggers } from './stop-triggers.js'
import { TaskEnds } from './task-ends.js'
import { WorkRecord } from './work-record.js'
import type { WorkerDependencies } from './worker-dependencies.js'
import { WorkerEnd } from './worker-end.js'

/** Interval of the check for tasks that were leased and have not started, which idle workers may get. Milliseconds. */
const shareEveryMs = 1_000

/** Time for the last deletions and releases after `graceSeconds` or a second signal. */
const shutdownSeconds = 10

/** Longest wait for an answer of the queue, once the worker is stopping and its tasks have ended. */
const silenceSeconds = 60

export class Worker {
  readonly #dependencies: WorkerDependencies
  readonly #record: WorkRecord
  readonly #status: StatusReporter
  readonly #end = new WorkerEnd()
  readonly #ends: TaskEnds
  readonly #upkeep: PackUpkeep
  readonly #fetcher: Fetcher
  readonly #buffer: LeaseBuffer
  readonly #run: Run
  /** Aborted when the queue did not answer in time: remaining leases end by themselves. */
  readonly #gaveUp = new AbortController()
  #cancelGivingUp: (() => void) | undefined
  #cancelSilence: (() => void) | undefined
  #cancelGrace: (() => void) | undefined
  #exiting = false
  #ended = false

  constructor(given: Omit<WorkerDependencies, 'leasing'> & { readonly leasing: MessageLeases }) {
    const { backend, settings, clock } = given
    const seconds = leaseSeconds('leaseSeconds', settings.leaseSeconds, backend.capabilities, backend.label)
    this.#record = new WorkRecord(clock)
    this.#status = new StatusReporter(backend, settings.parallel, this.#record)
    const shared = { record: this.#record, status: this.#status, end: this.#end }
    this.#ends = new TaskEnds(given, seconds, shared)
    this.#dependencies = this.#ends.dependencies
    this.#fetcher = new Fetcher(this.#ends, seconds, shared)
    this.#buffer = new LeaseBuffer(this.#fetcher)
    this.#run = startRun(this.#buffer, this.#ends, this.#status)
    this.#ends.attach(this.#buffer, this.#run)
    const { heldPacks, packs, activity } = this.#ends
    this.#upkeep = new PackUpkeep(heldPacks, packs, { threads: settings.parallel, clock, label: backend.label })
    activity.onChange(() => {
      this.#watchForSilence()
      this.#run.resume()
      this.#fetcher.endWaitIfIdle()
    })
    onAbort(this.#end.signal, () => this.#beginStop())
    this.#status.start(this.#run)
  }

  /** Works until stopped; resolves with the number of executed tasks. */
  async work(): Promise<number> {
    const triggers = onStopTriggers(this.#dependencies, {
      stop: () => this.stop(),
      exitNow: () => this.#exitNow(),
      crash: (...what) => this.#crash(...what),
    })
    const shareTimer = setInterval(() => this.#shareWork(), shareEveryMs)
    try {
      await this.#unlessGivenUp(this.#run.done)
    } catch (error) {
      this.#end.fail(error)
    } finally {
      clearInterval(shareTimer)
      await this.#unlessGivenUp(this.#finishWrites())
      this.#ends.close()
      await this.#unlessGivenUp(this.#status.close())
      triggers.dispose()
      this.#ended = true
      this.#cancelGrace?.()
      this.#cancelGivingUp?.()
      this.#cancelSilence?.()
      if (this.#dependencies.settings.parallel > 0) await ThreadPool.stopUnused()
    }
    // The process is about to exit: its program must not go on as if the worker had ended.
    if (this.#exiting) await new Promise(() => undefined)
    this.#end.throwIfFailed()
    return this.#record.executed
  }

  /** Starts no more tasks and releases those that have not started; running ones may finish within `graceSeconds`. */
  stop(): void {
    this.#end.stop()
  }

  #beginStop(): void {
    this.#ends.retries.end()
    void this.#buffer.stop()
    this.#ends.releaseWithPacks([...this.#buffer.withdraw(0), ...this.#run.stop()].map(taskOf))
    this.#watchForSilence()
    const { clock, settings } = this.#dependencies
    const { graceSeconds } = settings
    if (graceSeconds === undefined) return
    this.#cancelGrace = clock.setAlarm(graceSeconds * 1000, () => {
      const error = new Error(`The worker stopped, and the task did not end within graceSeconds (${graceSeconds} s)`)
      for (const task of this.#ends.held.all) this.#ends.abort(task, 'shutdown', error)
      this.#giveUpSoon()
    })
  }

  #giveUpSoon(): void {
    this.#cancelGivingUp ??= this.#dependencies.clock.setAlarm(shutdownSeconds * 1000, () =>
      this.#giveUp(shutdownSeconds),
    )
  }

  /**
   * Gives up when the queue does not answer: once a stopping worker's tasks and the caller's functions have ended, only the
   * queue is awaited. Called after each answer and each end of a task.
   */
  #watchForSilence(): void {
    if (!this.#end.isStopping) return
    this.#cancelSilence?.()
    this.#cancelSilence = undefined
    if (this.#ended) return
    if (this.#run.running(1).length > 0 || this.#fetcher.isInBeforeFn || this.#ends.executed.pending > 0) return
    this.#cancelSilence = this.#dependencies.clock.setAlarm(silenceSeconds * 1000, () => this.#giveUp(silenceSeconds))
  }

  #giveUp(afterSeconds: number): void {
    const { label } = this.#dependencies.backend
    const reason =
      `The worker stopped, and ${label} did not answer within ${afterSeconds} s: what it still held comes back when ` +
      'its lease ends'
    this.#end.fail(new Error(reason))
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

  /** Releases what this worker can't start soon, for idle workers. */
  #shareWork(): void {
    this.#ends.shareWaiting()
    if (this.#ends.heldPacks.size === 0 || this.#end.isStopping) return
    void this.#upkeep.run().then(() => this.#ends.activity.changed())
  }

  async #finishWrites(): Promise<void> {
    await this.#buffer.stop()
    await this.#ends.writesDone()
    await this.#ends.executed.done()
    // Tasks of threads that died while the worker stopped.
    this.#ends.releaseWithPacks(this.#ends.held.all)
    await this.#ends.writesDone()
  }

  /**
   * Handles an uncaught exception, which ends the process. A task that runs in this thread is most likely the cause: its
   * attempt counts as failed. Tasks in other threads are released.
   */
  async #crash(thrown: unknown, origin: NodeJS.UncaughtExceptionOrigin): Promise<void> {
    if (this.#dependencies.settings.parallel === 0 && !isOutputError(thrown)) {
      for (const { call, startedAtMs } of this.#run.running(Number.POSITIVE_INFINITY)) {
        const task = taskOf(call)
        if (!this.#ends.held.has(task)) continue
        const what = origin === 'unhandledRejection' ? 'a rejection that was not handled' : 'an uncaught exception'
        const error = new Error(`The worker died of ${what} while this task ran: ${reasonOf(thrown)}`, {
          cause: thrown,
        })
        this.#ends.forget(task)
        this.#ends.failed(task, error, Math.max(0, Date.now() - startedAtMs) / 1000)
      }
    }
    await this.#exitNow()
  }

  /** Prepares for an immediate exit: releases running tasks, deletes completed ones. */
  async #exitNow(): Promise<void> {
    this.#exiting = true
    this.#giveUpSoon()
    this.#ends.releaseWithPacks(this.#ends.held.all)
    const threads = endAllThreads()
    await this.#unlessGivenUp(Promise.all([this.#buffer.stop(), this.#ends.writesDone()]).then(() => undefined))
    await this.#unlessGivenUp(this.#ends.writesDone())
    await this.#unlessGivenUp(this.#status.close())
    await threads
  }
}

/** True if stdout or stderr could not be written: a full disk or a closed terminal, not the fault of a task. */
function isOutputError(thrown: unknown): boolean {
  return isError(thrown) && (thrown as NodeJS.ErrnoException).syscall === 'write'
}
