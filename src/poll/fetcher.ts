/** Leases tasks, turns those that may run into calls, and waits while the queue is empty. */

import { callAndWait } from '../queue/awaited-functions.js'
import { isEmpty } from '../queue/emptiness.js'
import type { LeasedTask } from '../queue/queued-task.js'
import type { Call } from '../threads/call.js'
import { Backoff } from './backoff.js'
import { LeaseWaits } from './lease-waits.js'
import { leasedCall, prepareCall } from './leased-call.js'
import { type PackedCall, taskOf } from './packed-call.js'
import { mustRunAlone } from './poison-guard.js'
import { isBackoffException } from './poll-options.js'
import { TaskChoice } from './task-choice.js'
import type { TaskEnds } from './task-ends.js'
import type { WorkRecord } from './work-record.js'
import type { WorkerDependencies } from './worker-dependencies.js'
import type { WorkerEnd } from './worker-end.js'

export class Fetcher {
  readonly #dependencies: WorkerDependencies
  readonly #leaseSeconds: number
  readonly #record: WorkRecord
  readonly #ends: TaskEnds
  readonly #end: WorkerEnd
  readonly #waits: LeaseWaits
  readonly #choice: TaskChoice
  readonly #backoff: Backoff
  /** Tasks of a message, in the last lease request that found some. */
  #tasksPerMessage = 1
  /** The last lease request failed with one of `backoffExceptions`. */
  #lastLeaseFailed = false
  /** The worker itself waited before this lease request, so long polling is not used too. */
  #waitedInWorker = false
  /** True while `beforeFn` is awaited. */
  isInBeforeFn = false
  /** Calls of packs that the current lease request took, and that are not ready yet. */
  #taken: readonly PackedCall[] = []

  constructor(ends: TaskEnds, leaseSeconds: number, { record, end }: { record: WorkRecord; end: WorkerEnd }) {
    const { clock, random, settings } = ends.dependencies
    this.#dependencies = ends.dependencies
    this.#leaseSeconds = leaseSeconds
    this.#record = record
    this.#ends = ends
    this.#end = end
    this.#waits = new LeaseWaits(clock)
    this.#choice = new TaskChoice(ends, this.#waits, leaseSeconds)
    this.#backoff = new Backoff(settings.minBackoffSeconds, settings.maxBackoffSeconds, random)
  }

  /** Stops leasing; ends a wait. */
  stop(): void {
    this.#waits.stop()
    this.#ends.activity.changed()
  }

  /** Ends a wait for tasks where the queue may be empty now, since no task of this worker is left. */
  endWaitIfIdle(): void {
    if (this.#dependencies.settings.untilEmpty && !this.#ends.isBusy) this.#waits.endEarly()
  }

  /**
   * How many more tasks may be leased. In addition to one for each thread, as many may be held as have ended since the start or the
   * last pause. A stop or a pause releases those that wait, which costs SQS two requests for ten: where pauses are frequent (a rate
   * limit), no more tasks must be released than were run.
   */
  room(): number {
    const { guard, held, pauses } = this.#ends
    // The next call takes the waiting task and leases nothing beside it.
    if (guard.hasWaiting) return 1
    return Math.max(1, this.#dependencies.settings.parallel) + pauses.endedSince - held.size
  }

  /** True if the task of a call is still held. */
  isHeld(call: Call): boolean {
    return this.#ends.held.hasCall(call)
  }

  /** An error that ends fetching. */
  onFault(error: unknown): void {
    this.#end.fail(error)
  }

  /** Leases up to `max` tasks and makes them ready to run. `undefined`: none was found. */
  async lease(max: number): Promise<Call[] | undefined> {
    const { activity, guard, held, loadFailures } = this.#ends
    await this.#pauseIfAsked()
    for (;;) {
      if (this.#mayNotLease) return undefined
      // Those of packs are held already: they don't wait for room, which a pack that runs alone leaves none of.
      const packed = await this.#takePacked(Math.min(max, Math.max(1, this.room())))
      if (packed.length > 0) return this.#releasedOnError([], () => this.#packedReady(packed))
      if (!guard.mustWait) break
      await activity.next()
    }
    if (this.#mayNotLease) return undefined
    const waited = guard.takeWaiting()
    if (waited !== undefined) return this.#releasedOnError([waited], () => this.#ready([waited], max))
    // There was more room before a pause.
    const room = Math.min(max, Math.max(1, this.room()))
    this.#record.tries++
    const asked = guard.limit(Math.ceil(room / this.#tasksPerMessage))
    const tasks = await this.#leaseOrMiss(asked)
    if (tasks.length < asked && !this.#lastLeaseFailed) loadFailures.sawEnd()
    if (tasks.length === 0) {
      guard.leasedNothing()
      return undefined
    }
    this.#record.tries = 0
    this.#backoff.reset()
    this.#tasksPerMessage = tasks.reduce((sum, { count }) => sum + count, 0) / tasks.length
    // All are registered before the first is examined: an error must not leave a lease without an owner.
    held.add(tasks)
    this.#emitLeased(tasks.filter(task => !task.isPack))
    return this.#releasedOnError(tasks, async () => this.#ready(await this.#choice.choose(tasks), room))
  }

  /** Waits after a lease that found nothing; false if the worker should end instead. */
  async idle(): Promise<boolean> {
    const { backend, events, settings } = this.#dependencies
    if (this.#mayNotLease || this.#ends.executed.askedToStop()) return false
    const mayEndSoon = settings.untilEmpty && this.#ends.isBusy
    if (settings.untilEmpty && !mayEndSoon && (await this.#foundEmpty())) return false
    const waitSeconds = this.#backoff.miss()
    events.emit('idle', { waitSeconds })
    // With long polling the next request waits. A failed request returned at once and would again. A wait that the end of the
    // last task must end early is not left to the backend, which may miss the abort and lease a task to a closed connection.
    this.#waitedInWorker = mayEndSoon
    if (!backend.capabilities.longPolling || this.#lastLeaseFailed || mayEndSoon) await this.#waits.sleep(waitSeconds)
    return !this.#mayNotLease
  }

  /** True once stopped, or when a task as long as the longest so far would not end before `until`. */
  get #mayNotLease(): boolean {
    const { untilMs } = this.#dependencies.settings
    if (this.#waits.stopped) return true
    return untilMs !== undefined && this.#dependencies.clock.dateMs() + this.#record.longestSeconds * 1000 >= untilMs
  }

  async #pauseIfAsked(): Promise<void> {
    const { pauses } = this.#ends
    const waitSeconds = pauses.seconds
    if (waitSeconds === undefined) return
    this.#dependencies.events.emit('idle', { waitSeconds })
    await this.#waits.sleep(waitSeconds)
    pauses.seconds = undefined
  }

  async #leaseOrMiss(max: number): Promise<LeasedTask[]> {
    const { backend, leasing, settings } = this.#dependencies
    // The first request does not wait; after a miss it does where the backend supports long polling.
    const inEngine = backend.capabilities.longPolling === true && this.#record.tries > 1 && !this.#waitedInWorker
    const waitSeconds = inEngine ? this.#backoff.windowSeconds : 0
    const signal = this.#waits.begin({ waits: waitSeconds > 0 })
    this.#lastLeaseFailed = false
    try {
      return await leasing.lease(backend, { seconds: this.#leaseSeconds, max, waitSeconds, signal })
    } catch (error) {
      // The server is away while the worker ends, which wants no more tasks: those that it may have leased become free again when
      // their leases end.
      if (this.#waits.stopped) return []
      if (!isBackoffException(error, settings.backoffExceptions)) throw error
      this.#lastLeaseFailed = true
      return []
    }
  }

  async #foundEmpty(): Promise<boolean> {
    const { backend, settings } = this.#dependencies
    const signal = this.#waits.begin({ waits: false })
    try {
      return await isEmpty(backend, signal)
    } catch (error) {
      if (signal.aborted || isBackoffException(error, settings.backoffExceptions)) return false
      throw error
    }
  }

  /** Makes held tasks ready; releases them, and those of packs, if that throws or the worker has stopped since. */
  async #releasedOnError(tasks: readonly LeasedTask[], ready: () => Promise<Call[]>): Promise<Call[]> {
    let calls: Call[]
    try {
      calls = await ready()
    } catch (error) {
      void this.#release(tasks)
      throw error
    }
    if (this.#waits.stopped) {
      void this.#release(tasks)
      return []
    }
    this.#taken = []
    return calls
  }

  #release(tasks: readonly LeasedTask[]): Promise<void> {
    const all = [...tasks, ...this.#taken.map(({ task }) => task)]
    this.#taken = []
    return this.#ends.release(all.filter(task => this.#ends.held.has(task)))
  }

  /** The calls of tasks that may run, and up to `max` of their packs; leaves out those that can't or must not run here. */
  async #ready(tasks: readonly LeasedTask[], max: number): Promise<Call[]> {
    const calls: Call[] = []
    const hasPacks = tasks.some(({ isPack }) => isPack)
    if (hasPacks) {
      for (const pack of tasks) {
        if (pack.isPack && (!mustRunAlone(pack) || (await this.#choice.markAlone(pack)))) this.#open(pack)
      }
    }
    const single = hasPacks ? tasks.filter(({ isPack }) => !isPack) : tasks
    for (const task of single) {
      if (this.#waits.stopped) break
      if (mustRunAlone(task) && !(await this.#choice.markAlone(task))) continue
      const call = this.#callOf(task)
      if (call === undefined) continue
      const before = this.#before(call)
      if (before !== undefined) await before
      calls.push(call)
    }
    if (!hasPacks) return calls
    const packed = await this.#packedReady(await this.#takePacked(Math.max(1, max - single.length)))
    return calls.length === 0 ? packed : [...calls, ...packed]
  }

  #open(message: LeasedTask): void {
    const { held, heldPacks } = this.#ends
    try {
      heldPacks.open(message, this.#dependencies.clock.nowMs())
      held.dropOpened(message)
    } catch (error) {
      this.#notRunnable(message, error)
    }
  }

  /** Up to `max` tasks of the packs that are held. */
  async #takePacked(max: number): Promise<readonly PackedCall[]> {
    const { held, heldPacks, packs } = this.#ends
    if (heldPacks.size === 0) return []
    const calls = await packs.take(max)
    this.#taken = calls
    held.addPacked(calls)
    if (this.#dependencies.events.hasListeners('leased')) this.#emitLeased(calls.map(({ task }) => task))
    return calls
  }

  /** Makes tasks of packs ready. */
  async #packedReady(taken: readonly PackedCall[]): Promise<Call[]> {
    const calls: Call[] = []
    const hasBefore = this.#dependencies.settings.beforeFn !== undefined
    for (const call of taken) {
      if (this.#waits.stopped) break
      // The first task of its pack could not run here.
      if (!call.isHeld || !this.#prepared(call)) continue
      const before = hasBefore ? this.#before(call) : undefined
      if (before !== undefined) await before
      calls.push(call)
    }
    return calls
  }

  #callOf(task: LeasedTask): Call | undefined {
    try {
      const call = leasedCall(task, this.#dependencies)
      this.#ends.held.setCall(task, call)
      return call
    } catch (error) {
      this.#notRunnable(task, error)
      return undefined
    }
  }

  /** Prepares the call of a packed task; false if it can't run here. */
  #prepared(call: PackedCall): boolean {
    try {
      prepareCall(call, this.#dependencies)
      return true
    } catch (error) {
      const refused = this.#ends.packs.refuse(call, error)
      for (const one of refused) this.#ends.held.dropCall(one)
      if (refused.length === 0) this.#notRunnable(call.task, error)
      return false
    }
  }

  /** A task that is not registered here, or has too few arguments: other workers may have newer code. */
  #notRunnable(task: LeasedTask, error: unknown): void {
    this.#ends.forget(task)
    this.#ends.failed(task, error, 0)
  }

  /** Calls `beforeFn`; `undefined` if there is nothing to wait for, since awaiting it would cost each task a turn. */
  #before(call: Call): Promise<void> | undefined {
    const { closing, settings } = this.#dependencies
    const { beforeFn } = settings
    const before = beforeFn && callAndWait(closing, () => beforeFn(taskOf(call)))
    if (before === undefined) return undefined
    this.isInBeforeFn = true
    return before.finally(() => {
      this.isInBeforeFn = false
    })
  }

  #emitLeased(tasks: readonly LeasedTask[]): void {
    const { events } = this.#dependencies
    if (!events.hasListeners('leased')) return
    for (const task of tasks) events.emit('leased', { task })
  }
}
