/** Leases tasks, decides which may run, turns them into calls, and waits while the queue is empty. */

import { LeaseLostError, MessageRefusedError } from '../errors/errors.js'
import { callAndWait } from '../queue/awaited-functions.js'
import { isEmpty } from '../queue/emptiness.js'
import { type LeasedTask, PackedTask } from '../queue/queued-task.js'
import type { Call } from '../threads/call.js'
import { onAbort } from '../time/on-abort.js'
import { Backoff } from './backoff.js'
import { leasedCall } from './leased-call.js'
import type { PackLeases } from './pack-leases.js'
import { endedAttempts, mustRunAlone, PoisonGuard } from './poison-guard.js'
import { isBackoffException } from './poll-options.js'
import { processWorkers } from './process-workers.js'
import { renewTasks } from './renewal.js'
import { taskOf } from './run-listener.js'
import type { WorkRecord } from './work-record.js'
import type { WorkerParts } from './worker-parts.js'

/** Callbacks of a {@link Fetcher}. */
export interface FetcherCallbacks {
  /** Tasks were leased. */
  onLeased(tasks: readonly LeasedTask[]): void
  /** A lease returned fewer tasks than were asked for. */
  onQueueEnd(): void
  /** The call of a task was made; it runs after `beforeFn`. */
  onCall(task: LeasedTask, call: Call): void
  /** The task can't run in this process. */
  onNotRunnable(task: LeasedTask, error: unknown): void
  /** A leased pack was opened: its tasks are held one by one. */
  onOpened(pack: LeasedTask): void
  /** Splits a pack whose holder died. */
  splitPack(pack: LeasedTask): Promise<void>
  /** Tasks of a pack that was refused are held no more. */
  onRefused(tasks: readonly LeasedTask[]): void
  /** Handles a task that has had all its attempts; true if it was dead-lettered. */
  deadLetterExhausted(task: LeasedTask): Promise<boolean>
  /**
   * Releases tasks that will not run: the worker stopped, an error occurred, or the poison guard has no room. With `alone`
   * they are marked, see `release`. Resolves when they are released.
   */
  giveBack(tasks: readonly LeasedTask[], options?: { alone: boolean }): Promise<void>
  /** The queue refuses to record that the task runs alone: it must not run, or its deaths would never count. */
  onNotMarked(task: LeasedTask, error: MessageRefusedError): void
  /** The lease of a task is lost. */
  onLost(task: LeasedTask, error: Error): void
  /** Releases what has not started. */
  withdraw(): void
  isHeld(task: LeasedTask): boolean
  /** Number of held leases, including those of tasks whose end is not yet written to the queue. */
  held(): number
  /** Number of held tasks that have not ended. */
  notEnded(): number
  /** True if `stopFn` asks to stop. */
  askedToStop(): boolean
  /** True while tasks of this worker are running or being deleted. */
  isBusy(): boolean
  onFault(error: unknown): void
}

export class Fetcher {
  readonly #parts: WorkerParts
  readonly #leaseSeconds: number
  readonly #record: WorkRecord
  readonly #callbacks: FetcherCallbacks
  readonly #packs: PackLeases
  /** Tasks of a message, in the last lease request that found some. */
  #tasksPerMessage = 1
  readonly #backoff: Backoff
  readonly #guard: PoisonGuard
  /** Back-off of pauses that `backoffExceptions` cause; reset by a task that ends otherwise. */
  readonly #pauses: Backoff
  #pauseSeconds: number | undefined
  /** Number of tasks that ended since the start or the last pause. */
  #sincePause = 0
  /** The last lease request failed with one of `backoffExceptions`. */
  #lastLeaseFailed = false
  /** The worker itself waited before this lease request, so long polling is not used too. */
  #waitedInWorker = false
  #stopped = false
  /** True while `beforeFn` is awaited. */
  isInBeforeFn = false
  /** Tasks of packs that the current lease request took, and that are no calls yet. */
  #taken: readonly LeasedTask[] = []
  /** Aborts the current lease request or wait. */
  #wait = new AbortController()
  /** True if the current request waits for tasks. */
  #isWaiting = false
  /** Ends the wait for room. */
  #roomChanged: (() => void) | undefined

  constructor(
    parts: WorkerParts,
    packs: PackLeases,
    leaseSeconds: number,
    record: WorkRecord,
    callbacks: FetcherCallbacks,
  ) {
    const { settings, random } = parts
    this.#parts = parts
    this.#packs = packs
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

  /** Stops leasing; ends a wait. */
  stop(): void {
    this.#stopped = true
    this.#wait.abort()
    this.#roomChanged?.()
  }

  /** Called when the worker has ended and holds nothing. */
  close(): void {
    this.#guard.close()
  }

  /** Called when no task of this worker is left: with `untilEmpty` the queue may be empty now. */
  allSettled(): void {
    if (this.#parts.settings.untilEmpty && this.#isWaiting) this.#wait.abort()
  }

  /** Called when the end of a task is written to the queue, or its lease is lost. */
  taskSettled(task: LeasedTask): void {
    this.#guard.settled(task)
    this.#roomChanged?.()
  }

  /** Delays the next lease request: a task failed with one of `backoffExceptions`. */
  pause(): void {
    // Tasks that failed together count once.
    this.#pauseSeconds ??= this.#pauses.miss()
    this.#sincePause = 0
  }

  /**
   * Delays the next lease request: a task's file can't be loaded now. Counts for {@link room}, so that each request reaches
   * further into the queue: other tasks may be behind many of that file.
   */
  pauseForFile(): void {
    this.#pauseSeconds ??= this.#pauses.miss()
    this.#sincePause++
  }

  /** Called when a task ended without `backoffExceptions`. */
  taskEnded(): void {
    this.#pauses.reset()
    this.#sincePause++
  }

  /**
   * How many more tasks may be leased: as many may wait as have run since the start or the last pause. A stop and the next
   * pause release them, which costs SQS two requests for ten: a frequent rate limit must not release more than it runs.
   */
  room(): number {
    const threads = Math.max(1, this.#parts.settings.parallel)
    // The next call takes the waiting task and leases nothing beside it.
    if (this.#guard.hasWaiting) return 1
    return threads + this.#sincePause - this.#callbacks.notEnded()
  }

  /** True if the task of a call is still held. */
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
    if (waited !== undefined) return this.#prepare([waited], async tasks => this.#begin(await this.#expand(tasks, max)))
    // There was more room before a pause.
    const room = Math.min(max, Math.max(1, this.room()))
    const packed = await this.#takePacked(room)
    if (packed.length > 0) return this.#prepare(packed, tasks => this.#begin(tasks))
    if (this.#mayNotLease) return undefined
    this.#record.tries++
    const asked = this.#guard.limit(Math.ceil(room / this.#tasksPerMessage))
    const tasks = await this.#leaseOrMiss(asked)
    if (tasks.length < asked && !this.#lastLeaseFailed) this.#callbacks.onQueueEnd()
    if (tasks.length === 0) {
      this.#guard.leasedNothing()
      return undefined
    }
    this.#record.tries = 0
    this.#backoff.reset()
    this.#tasksPerMessage = tasks.reduce((sum, { count }) => sum + count, 0) / tasks.length
    // All are registered before the first is examined: an error must not leave a lease without an owner.
    this.#callbacks.onLeased(tasks)
    this.#emitLeased(tasks)
    return this.#prepare(tasks, async () => this.#begin(await this.#expand(await this.#choose(tasks), room)))
  }

  /** Waits after a lease that found nothing; false if the worker should end instead. */
  async idle(): Promise<boolean> {
    const { backend, events, settings } = this.#parts
    if (this.#mayNotLease || this.#callbacks.askedToStop()) return false
    const mayEndSoon = settings.untilEmpty && this.#callbacks.isBusy()
    if (settings.untilEmpty && !mayEndSoon && (await this.#foundEmpty())) return false
    const waitSeconds = this.#backoff.miss()
    events.emit('idle', { waitSeconds })
    // With long polling the next request waits. A failed request returned at once and would again. A wait that the end of the
    // last task must end early is not left to the engine, which may miss the abort and lease a task to a closed connection.
    this.#waitedInWorker = mayEndSoon
    if (!backend.capabilities.longPolling || this.#lastLeaseFailed || mayEndSoon) await this.#sleep(waitSeconds)
    return !this.#mayNotLease
  }

  /** True once stopped, or when a task as long as the longest so far would not end before `until`. */
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
    // The first request does not wait; after a miss it does where the engine supports long polling.
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

  /** Waits until the poison guard allows another task beside those that are held. */
  async #untilRoom(): Promise<void> {
    while (this.#guard.mustWait && !this.#stopped) {
      await new Promise<void>(resolve => {
        this.#roomChanged = resolve
      })
      this.#roomChanged = undefined
    }
  }

  /** Runs `prepare` on held tasks; releases them if it throws or the worker has stopped since. */
  async #prepare(
    tasks: readonly LeasedTask[],
    prepare: (tasks: readonly LeasedTask[]) => Promise<Call[]>,
  ): Promise<Call[]> {
    try {
      const calls = await prepare(tasks)
      if (!this.#stopped) return calls
    } catch (error) {
      void this.#callbacks.giveBack([...new Set([...tasks, ...this.#taken])])
      throw error
    } finally {
      if (!this.#stopped) this.#taken = []
    }
    void this.#callbacks.giveBack([...new Set([...tasks, ...this.#taken])])
    return []
  }

  /** Up to `max` tasks of the packs that are held. */
  async #takePacked(max: number): Promise<readonly LeasedTask[]> {
    if (this.#packs.size === 0) return []
    const tasks = await this.#packs.take(max)
    this.#taken = tasks
    this.#callbacks.onLeased(tasks)
    this.#emitLeased(tasks)
    return tasks
  }

  #emitLeased(tasks: readonly LeasedTask[]): void {
    const { events } = this.#parts
    if (!events.hasListeners('leased')) return
    for (const task of tasks) if (!task.isPack) events.emit('leased', { task })
  }

  /** Opens packs: gives the tasks of others, and up to `max` of theirs. */
  async #expand(tasks: readonly LeasedTask[], max: number): Promise<readonly LeasedTask[]> {
    const single: LeasedTask[] = []
    for (const task of tasks) {
      if (!task.isPack) single.push(task)
      else if (!mustRunAlone(task) || (await this.#markAlone(task))) this.#open(task)
    }
    if (single.length === tasks.length) return tasks
    return [...single, ...(await this.#takePacked(Math.max(1, max - single.length)))]
  }

  #open(pack: LeasedTask): void {
    try {
      this.#packs.open(pack)
      this.#callbacks.onOpened(pack)
    } catch (error) {
      // Not registered here: other workers may have newer code.
      this.#callbacks.onNotRunnable(pack, error)
    }
  }

  /** Selects the leased tasks that may run now; the others are dead-lettered, released, or wait in the guard. */
  async #choose(tasks: readonly LeasedTask[]): Promise<readonly LeasedTask[]> {
    const { maxAttempts } = this.#parts.settings
    for (const task of tasks) {
      if (this.#stopped) return []
      if (this.#packs.mustSplit(task)) await this.#callbacks.splitPack(task)
      else if (task.attempt > 1 && endedAttempts(task) >= maxAttempts) await this.#callbacks.deadLetterExhausted(task)
    }
    const { run, giveBack, mark } = this.#guard.choose(tasks.filter(task => this.#callbacks.isHeld(task)))
    // Before any of the others starts: if one kills this worker, the released tasks must not count a death.
    if (giveBack.length > 0) await this.#callbacks.giveBack(giveBack)
    if (mark.length > 0) await this.#callbacks.giveBack(mark, { alone: true })
    if (this.#guard.isDraining) this.#callbacks.withdraw()
    return run
  }

  /** Turns tasks into calls; leaves out those that can't or must not run here. */
  async #begin(tasks: readonly LeasedTask[]): Promise<Call[]> {
    const { beforeFn } = this.#parts.settings
    const calls: Call[] = []
    for (const task of tasks) {
      if (this.#stopped) break
      // The first task of its pack could not run here.
      if (task instanceof PackedTask && !this.#callbacks.isHeld(task)) continue
      if (!(task instanceof PackedTask) && mustRunAlone(task) && !(await this.#markAlone(task))) continue
      const call = this.#callOf(task)
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

  /** Records in the queue that the task runs alone; false if the lease was lost. */
  async #markAlone(task: LeasedTask): Promise<boolean> {
    const { backend, leasing } = this.#parts
    if (backend.runsAlone === undefined) return true
    try {
      // The task may have waited long: the record must belong to this lease, not to a later one.
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

  #callOf(task: LeasedTask): Call | undefined {
    try {
      const call = leasedCall(task, this.#parts)
      this.#callbacks.onCall(task, call)
      return call
    } catch (error) {
      // Not registered here, or too few arguments: other workers may have newer code.
      const refused = this.#packs.refuse(task, error)
      if (refused.length > 0) this.#callbacks.onRefused(refused)
      else this.#callbacks.onNotRunnable(task, error)
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
