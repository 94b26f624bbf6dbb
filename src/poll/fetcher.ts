/** From the queue to calls that are ready to run: leases, looks at what came, and waits where nothing did. */

import { LeaseLostError, MessageRefusedError } from '../errors/errors.js'
import { callAndWait } from '../queue/awaited-functions.js'
import { isEmpty } from '../queue/emptiness.js'
import type { LeasedTask } from '../queue/queued-task.js'
import { type Call, queuedCall } from '../threads/call.js'
import { onAbort } from '../time/on-abort.js'
import { Backoff } from './backoff.js'
import { endedAttempts, mustRunAlone, PoisonGuard } from './poison-guard.js'
import { isBackoffException } from './poll-options.js'
import { processWorkers } from './process-workers.js'
import { renewTasks } from './renewal.js'
import { taskOf } from './run-listener.js'
import type { WorkRecord } from './work-record.js'
import type { WorkerParts } from './worker-parts.js'

/** What an {@link Fetcher} asks of its worker, and tells it. */
export interface FetcherCallbacks {
  /** These are ours now: their leases are kept. */
  onLeased(tasks: readonly LeasedTask[]): void
  /** What a task is to be called as; it may be run as soon as `beforeFn` has seen it. */
  onCall(task: LeasedTask, call: Call): void
  /** The task can't be run here. */
  onNotRunnable(task: LeasedTask, error: unknown): void
  /** The task has had all its attempts; true if it was put aside for that. */
  deadLetterExhausted(task: LeasedTask): Promise<boolean>
  /**
   * These will not be handed on: the worker stopped while they were on their way, something broke, or there is no room for
   * them. With `alone` they are marked, see `release`. Resolves when they are given back.
   */
  giveBack(tasks: readonly LeasedTask[], options?: { alone: boolean }): Promise<void>
  /** The queue refuses to record that this one runs alone: it must not run, or its deaths would never count. */
  onNotMarked(task: LeasedTask, error: MessageRefusedError): void
  /** The lease of this one is lost. */
  onLost(task: LeasedTask, error: Error): void
  /** Gives back what was handed on and has not begun. */
  withdraw(): void
  isHeld(task: LeasedTask): boolean
  /** How many tasks are held, those included of whose end the queue doesn't know yet. */
  held(): number
  /** How many of them have not ended. */
  notEnded(): number
  /** Whether `stopFn` says to stop. */
  askedToStop(): boolean
  /** Whether tasks of this worker are still running or being removed. */
  isBusy(): boolean
  onFault(error: unknown): void
}

export class Fetcher {
  readonly #parts: WorkerParts
  readonly #leaseSeconds: number
  readonly #record: WorkRecord
  readonly #callbacks: FetcherCallbacks
  readonly #backoff: Backoff
  readonly #guard: PoisonGuard
  /** Doubles with each pause that tasks asked for, until one ends otherwise. */
  readonly #pauses: Backoff
  #pauseSeconds: number | undefined
  /** How many tasks have ended since the beginning, or since one asked for a pause. */
  #sincePause = 0
  /** The last look failed with an error that is to be waited out. */
  #lastLeaseFailed = false
  /** The wait before this look was ours, so the engine is not to wait too. */
  #waitedInWorker = false
  #stopped = false
  /** Whether `beforeFn` is awaited. */
  isInBeforeFn = false
  /** Its abort ends the look or wait that is under way. */
  #wait = new AbortController()
  /** Whether that one waits, and doesn't just look. */
  #isWaiting = false
  /** Ends the wait for room. */
  #roomChanged: (() => void) | undefined

  constructor(parts: WorkerParts, leaseSeconds: number, record: WorkRecord, callbacks: FetcherCallbacks) {
    const { settings, random } = parts
    this.#parts = parts
    this.#leaseSeconds = leaseSeconds
    this.#record = record
    this.#callbacks = callbacks
    this.#backoff = new Backoff(settings.minBackoffSeconds, settings.maxBackoffSeconds, random)
    this.#guard = new PoisonGuard({
      marksByRelease: parts.backend.capabilities.releasesAlone === true,
      held: () => callbacks.held(),
      workers: processWorkers,
      changed: () => this.#roomChanged?.(),
      withdraw: () => callbacks.withdraw(),
    })
    this.#pauses = new Backoff(settings.minBackoffSeconds, settings.maxBackoffSeconds, random)
  }

  /** Leases no more; a wait ends. */
  stop(): void {
    this.#stopped = true
    this.#wait.abort()
    this.#roomChanged?.()
  }

  /** The worker has ended: it holds nothing. */
  close(): void {
    this.#guard.close()
  }

  /** The last task that ran here is settled: with `untilEmpty` that may have been the last one of all. */
  allSettled(): void {
    if (this.#parts.settings.untilEmpty && this.#isWaiting) this.#wait.abort()
  }

  /** The queue knows how a task ended, or it is not ours any more. */
  taskSettled(task: LeasedTask): void {
    this.#guard.settled(task)
    this.#roomChanged?.()
  }

  /** A task asked for a pause (`backoffExceptions`): the next look at the queue is put off. */
  pause(): void {
    // Those that failed together, for one reason, count once.
    this.#pauseSeconds ??= this.#pauses.miss()
    this.#sincePause = 0
  }

  /**
   * A task's file can't be loaded now: the next look is put off too. It counts for {@link room}, so that each look goes further
   * into the queue: other tasks may stand behind many of that file.
   */
  pauseForFile(): void {
    this.#pauseSeconds ??= this.#pauses.miss()
    this.#sincePause++
  }

  /** A task ended without asking for a pause. */
  taskEnded(): void {
    this.#pauses.reset()
    this.#sincePause++
  }

  /**
   * As many may wait as have run before, since the beginning or a pause: a stop and the next pause give them back, which
   * costs SQS two requests for ten. A rate limit that is met often must not give back more than it lets run.
   */
  room(): number {
    const threads = Math.max(1, this.#parts.settings.parallel)
    // The next look takes the task that waits, and leases nothing beside it.
    if (this.#guard.hasWaiting) return 1
    return threads + this.#sincePause - this.#callbacks.notEnded()
  }

  /** Whether a task that was made ready to run is still held. */
  isHeld(call: Call): boolean {
    return this.#callbacks.isHeld(taskOf(call))
  }

  /** An error that ends fetching. */
  onFault(error: unknown): void {
    this.#callbacks.onFault(error)
  }

  /** Leases up to `max` tasks and makes them ready to run. `undefined`: none was found. */
  async lease(max: number): Promise<Call[] | undefined> {
    await this.#pauseIfAsked()
    await this.#untilRoom()
    if (this.#mayNotLease) return undefined
    const waited = this.#guard.takeWaiting()
    if (waited !== undefined) return this.#prepare([waited], tasks => this.#begin(tasks))
    this.#record.tries++
    // There was more room before a pause.
    const tasks = await this.#leaseOrMiss(this.#guard.limit(Math.min(max, Math.max(1, this.room()))))
    if (tasks.length === 0) {
      this.#guard.leasedNothing()
      return undefined
    }
    this.#record.tries = 0
    this.#backoff.reset()
    // All of them are known to be ours before the first is looked at: whatever throws, none is left leased by nobody.
    this.#callbacks.onLeased(tasks)
    if (this.#parts.events.hasListeners('leased')) for (const task of tasks) this.#parts.events.emit('leased', { task })
    return this.#prepare(tasks, async () => this.#begin(await this.#choose(tasks)))
  }

  /** Waits after a lease that found nothing; false if the worker should end instead. */
  async idle(): Promise<boolean> {
    const { backend, events, settings } = this.#parts
    if (this.#mayNotLease || this.#callbacks.askedToStop()) return false
    const mayEndSoon = settings.untilEmpty && this.#callbacks.isBusy()
    if (settings.untilEmpty && !mayEndSoon && (await this.#foundEmpty())) return false
    const waitSeconds = this.#backoff.miss()
    events.emit('idle', { waitSeconds })
    // Where the engine can wait by itself, the next look does. One that failed came back at once, and would again. A wait
    // that the end of our last task cuts short is none for the engine, which may not notice and hand a task to nobody.
    this.#waitedInWorker = mayEndSoon
    if (!backend.capabilities.longPolling || this.#lastLeaseFailed || mayEndSoon) await this.#sleep(waitSeconds)
    return !this.#mayNotLease
  }

  /** Stopped, or too late to begin a task that takes as long as the longest one did. */
  get #mayNotLease(): boolean {
    const { untilMs } = this.#parts.settings
    if (this.#stopped) return true
    return untilMs !== undefined && this.#parts.clock.dateMs() + this.#record.longestSeconds * 1000 >= untilMs
  }

  async #pauseIfAsked(): Promise<void> {
    const waitSeconds = this.#pauseSeconds
    if (waitSeconds === undefined) return
    this.#parts.events.emit('idle', { waitSeconds })
    await this.#sleep(waitSeconds)
    this.#pauseSeconds = undefined
  }

  async #leaseOrMiss(max: number): Promise<LeasedTask[]> {
    const { backend, leasing, settings } = this.#parts
    // The first look wants an answer at once; the wait after a miss is the engine's where it can wait by itself.
    const inEngine = backend.capabilities.longPolling === true && this.#record.tries > 1 && !this.#waitedInWorker
    const waitSeconds = inEngine ? this.#backoff.windowSeconds : 0
    const signal = this.#newWait({ waits: waitSeconds > 0 })
    this.#lastLeaseFailed = false
    try {
      return await leasing.lease(backend, { seconds: this.#leaseSeconds, max, waitSeconds, signal })
    } catch (error) {
      if (!isBackoffException(error, settings.backoffExceptions)) throw error
      this.#lastLeaseFailed = true
      return []
    }
  }

  /** Waits until a task may be begun or leased beside those that are held. */
  async #untilRoom(): Promise<void> {
    while (this.#guard.mustWait && !this.#stopped) {
      await new Promise<void>(resolve => {
        this.#roomChanged = resolve
      })
      this.#roomChanged = undefined
    }
  }

  /** What `prepare` makes of tasks that are held; none of them is kept if the worker has stopped by then. */
  async #prepare(
    tasks: readonly LeasedTask[],
    prepare: (tasks: readonly LeasedTask[]) => Promise<Call[]>,
  ): Promise<Call[]> {
    try {
      const calls = await prepare(tasks)
      if (!this.#stopped) return calls
    } catch (error) {
      void this.#callbacks.giveBack(tasks)
      throw error
    }
    void this.#callbacks.giveBack(tasks)
    return []
  }

  /** Those of leased tasks that may be run now; the others are put aside, given back, or wait here. */
  async #choose(tasks: readonly LeasedTask[]): Promise<readonly LeasedTask[]> {
    const { maxAttempts } = this.#parts.settings
    for (const task of tasks) {
      if (this.#stopped) return []
      if (task.attempt > 1 && endedAttempts(task) >= maxAttempts) await this.#callbacks.deadLetterExhausted(task)
    }
    const { run, giveBack, mark } = this.#guard.choose(tasks.filter(task => this.#callbacks.isHeld(task)))
    // Before any of the others begins: should one kill this worker, those that were given back are not to be suspected.
    if (giveBack.length > 0) await this.#callbacks.giveBack(giveBack)
    if (mark.length > 0) await this.#callbacks.giveBack(mark, { alone: true })
    if (this.#guard.isDraining) this.#callbacks.withdraw()
    return run
  }

  /** Makes tasks ready to run; leaves out what can't, or shall not, be run here. */
  async #begin(tasks: readonly LeasedTask[]): Promise<Call[]> {
    const { beforeFn, executeArgs } = this.#parts.settings
    const calls: Call[] = []
    for (const task of tasks) {
      if (this.#stopped) break
      if (mustRunAlone(task) && !(await this.#markAlone(task))) continue
      const call = this.#callOf(task, executeArgs)
      if (call === undefined) continue
      const before = beforeFn && callAndWait(this.#parts.closing, () => beforeFn(task))
      if (before !== undefined) {
        this.isInBeforeFn = true
        await before.finally(() => {
          this.isInBeforeFn = false
        })
      }
      calls.push(call)
    }
    return calls
  }

  /** Has the queue write down that the task runs alone; false if it isn't ours any more. */
  async #markAlone(task: LeasedTask): Promise<boolean> {
    const { backend, leasing } = this.#parts
    if (backend.runsAlone === undefined) return true
    try {
      // It may have waited for long: what is written must be about our lease, not the next one.
      const lost = (await renewTasks(this.#parts, [task], this.#leaseSeconds)).get(task)
      if (lost !== undefined) throw lost
      await leasing.runsAlone(backend, task)
      return true
    } catch (error) {
      if (error instanceof MessageRefusedError) {
        this.#callbacks.onNotMarked(task, error)
        return false
      }
      if (!(error instanceof LeaseLostError)) throw error
      this.#callbacks.onLost(task, error)
      return false
    }
  }

  #callOf(task: LeasedTask, executeArgs: readonly unknown[]): Call | undefined {
    try {
      const call = queuedCall(task, executeArgs, task.attempt)
      this.#callbacks.onCall(task, call)
      return call
    } catch (error) {
      // Not registered here, or called with too few arguments: other workers may have the code that this one lacks.
      this.#callbacks.onNotRunnable(task, error)
      return undefined
    }
  }

  async #foundEmpty(): Promise<boolean> {
    const { backend, settings } = this.#parts
    const signal = this.#newWait({ waits: false })
    try {
      return await isEmpty(backend, signal)
    } catch (error) {
      if (signal.aborted || isBackoffException(error, settings.backoffExceptions)) return false
      throw error
    }
  }

  #newWait({ waits }: { waits: boolean }): AbortSignal {
    this.#isWaiting = waits
    this.#wait = new AbortController()
    if (this.#stopped) this.#wait.abort()
    return this.#wait.signal
  }

  #sleep(seconds: number): Promise<void> {
    const signal = this.#newWait({ waits: true })
    if (signal.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const cancel = this.#parts.clock.setAlarm(seconds * 1000, () => {
        stopListening()
        resolve()
      })
      const stopListening = onAbort(signal, () => {
        cancel()
        resolve()
      })
    })
  }
}
