/**
 * What becomes of the leased tasks of a worker: one that ran to its end is deleted, one that failed is tried again or dead-lettered,
 * others are released, without an attempt. The code that runs tasks knows nothing of leases: it reports outcomes to
 * {@link TaskEnds.onOutcome}. Tasks that were leased and must not run are handled by `TaskChoice`.
 */
import { LeaseKeeper } from '../queue/lease-keeper.js'
import type { MessageLeases } from '../queue/leasing.js'
import type { LeasedTask } from '../queue/queued-task.js'
import type { Call, FailedOutcome, Outcome } from '../threads/call.js'
import type { Run } from '../threads/run-options.js'
import { Activity } from './activity.js'
import { Completer } from './completer.js'
import { ExecutedTasks } from './executed-tasks.js'
import { FailurePolicy } from './failure-policy.js'
import { reasonOf, taskError } from './failure-reason.js'
import { HeldPacks } from './held-packs.js'
import { type AbortCause, HeldTasks } from './held-tasks.js'
import { LoadFailures } from './load-failures.js'
import { PackLeases } from './pack-leases.js'
import { leasedMessage, PackedCall, PackedTask, taskOf } from './packed-call.js'
import { Pauses } from './pauses.js'
import { PendingWrites } from './pending-writes.js'
import { PoisonGuard } from './poison-guard.js'
import { isBackoffException } from './poll-options.js'
import { processWorkers } from './process-workers.js'
import { QueueRetries } from './queue-retries.js'
import { renewTasks } from './renewal.js'
import type { StatusReporter } from './status-reporter.js'
import type { WorkRecord } from './work-record.js'
import type { LeaseEnds, ReleaseOptions, WorkerDependencies } from './worker-dependencies.js'
import type { WorkerEnd } from './worker-end.js'

/** A task that was leased and has not started for this long is released: other workers may be idle. Milliseconds. */
const maxPrefetchMs = 1_000

export class TaskEnds implements LeaseEnds {
  /** The worker's dependencies, with the leases of packed tasks. */
  readonly dependencies: WorkerDependencies
  readonly activity = new Activity()
  readonly heldPacks = new HeldPacks()
  readonly held: HeldTasks
  readonly packs: PackLeases
  readonly guard: PoisonGuard
  readonly pauses: Pauses
  readonly policy: FailurePolicy
  readonly retries: QueueRetries
  readonly executed: ExecutedTasks
  readonly loadFailures = new LoadFailures()
  readonly #keeper: LeaseKeeper<LeasedTask>
  readonly #completer: Completer
  readonly #pendingWrites: PendingWrites
  readonly #status: StatusReporter
  readonly #record: WorkRecord
  readonly #end: WorkerEnd
  /** Set before anything is leased. */
  #run: Run | undefined
  #buffer: Pick<Run, 'withdraw'> | undefined

  constructor(
    given: Omit<WorkerDependencies, 'leasing'> & { readonly leasing: MessageLeases },
    leaseSeconds: number,
    { record, status, end }: { record: WorkRecord; status: StatusReporter; end: WorkerEnd },
  ) {
    const { backend, leasing, settings, clock, random } = given
    this.#record = record
    this.#status = status
    this.#end = end
    this.packs = new PackLeases({ backend, leasing, tally: settings.tally, clock }, this.heldPacks, this)
    this.dependencies = { ...given, leasing: this.packs }
    this.#keeper = new LeaseKeeper<LeasedTask>({
      leaseSeconds,
      renew: (tasks, seconds) => renewTasks(this.dependencies, tasks, seconds),
      onLost: (task, error) => this.lost(task, error),
      onFault: error => process.emitWarning(`Leases of ${backend.label} could not be renewed: ${reasonOf(error)}`),
      clock,
    })
    this.held = new HeldTasks(this.#keeper, this.heldPacks)
    this.retries = new QueueRetries(this.dependencies)
    this.policy = new FailurePolicy(this.dependencies, leaseSeconds)
    this.executed = new ExecutedTasks(this.dependencies, record, end, this.activity)
    this.#pendingWrites = new PendingWrites(this.retries, this.executed, end, this.activity)
    this.#completer = new Completer(given, {
      retries: this.retries,
      keeper: this.#keeper,
      executed: this.executed,
      ends: this,
      end,
      activity: this.activity,
    })
    this.pauses = new Pauses(settings, random)
    this.guard = new PoisonGuard({
      marksByRelease: backend.capabilities.releasesAlone === true,
      held: () => this.held.leases + this.#completer.pending + this.#pendingWrites.size,
      workers: processWorkers,
      changed: () => this.activity.changed(),
      withdraw: () => this.releaseWaiting(),
    })
  }

  /** Sets what hands out tasks. */
  attach(buffer: Pick<Run, 'withdraw'>, run: Run): void {
    this.#buffer = buffer
    this.#run = run
  }

  /** Number of ended tasks that are not yet written to the queue. */
  get unsettled(): number {
    return this.#completer.pending + this.#pendingWrites.size + this.executed.pending
  }

  /** True while tasks of this worker are running or being written. */
  get isBusy(): boolean {
    return this.held.size > 0 || this.heldPacks.size > 0 || this.unsettled > 0
  }

  /** A task ended, in its thread or here. */
  onOutcome(call: Call, outcome: Outcome): void {
    // NaN: not started.
    const durationSeconds = Number.isNaN(outcome.elapsedMs) ? 0 : outcome.elapsedMs / 1000
    this.#status.end(call)
    const abortCause = this.held.abortCauseOf(call)
    if (abortCause === undefined && outcome.ok) {
      // False: it was released, since the process exits.
      if (this.held.dropEnded(call)) this.#ran(call, outcome.value, durationSeconds)
    } else if (this.held.drop(taskOf(call))) this.#endedOtherwise(call, outcome, durationSeconds, abortCause)
    if (this.#end.isStopping) this.activity.changed()
  }

  #ran(call: Call, value: unknown, durationSeconds: number): void {
    this.loadFailures.ran(call)
    this.#record.took(durationSeconds)
    this.pauses.taskEnded()
    const { results } = this.dependencies
    const asksForResult = results !== undefined && (!(call instanceof PackedCall) || call.wantsResult)
    if (!asksForResult) {
      this.#complete(call, value, durationSeconds)
      return
    }
    const task = taskOf(call)
    let store: (() => Promise<void>) | undefined
    try {
      store = results.success(task, value)
    } catch (error) {
      // The value can't be kept, however often the task runs.
      this.failed(task, error, durationSeconds)
      return
    }
    if (store === undefined) this.#complete(call, value, durationSeconds)
    else void this.#storeThenComplete(store, call, value, durationSeconds)
  }

  /** Deletes a task only after its outcome is stored. */
  async #storeThenComplete(
    store: () => Promise<void>,
    call: Call,
    value: unknown,
    durationSeconds: number,
  ): Promise<void> {
    const task = taskOf(call)
    let isStored = false
    await this.#pendingWrites.add(
      async () => {
        await store()
        isStored = true
      },
      () => this.policy.release([task]),
    )
    if (isStored) this.#complete(call, value, durationSeconds)
    else this.settled(task)
  }

  /** The pack of a task forgets it with the next write; its message is deleted with the last task. */
  #complete(call: Call, value: unknown, durationSeconds: number): void {
    if (!(call instanceof PackedCall)) {
      this.#completer.add({ task: taskOf(call), value, durationSeconds, completions: 1 })
      return
    }
    const { events } = this.dependencies
    if (events.hasListeners('deleting')) events.emit('deleting', { task: call.task })
    this.packs.complete(call)
    this.executed.add(call, value, durationSeconds)
  }

  #endedOtherwise(call: Call, outcome: Outcome, durationSeconds: number, abortCause: AbortCause | undefined): void {
    const task = taskOf(call)
    if (abortCause === undefined && !outcome.ok && outcome.notLoaded !== undefined) {
      this.#notLoaded(task, call, outcome)
      return
    }
    this.loadFailures.ran(call)
    if (abortCause === undefined) this.#record.took(durationSeconds)
    if (abortCause === 'lease-lost') this.settled(task)
    else if (abortCause === 'shutdown' || outcome.ok) void this.release([task])
    else if (isBackoffException(outcome.error, this.dependencies.settings.backoffExceptions)) {
      this.pauses.pause()
      // Tasks that have not started would fail too; on other workers they may not.
      this.releaseWithPacks([task, ...this.#withdraw(0).map(taskOf)])
    } else {
      this.pauses.taskEnded()
      this.failed(task, outcome.error, durationSeconds)
    }
  }

  #notLoaded(task: LeasedTask, call: Call, outcome: FailedOutcome): void {
    this.pauses.pauseForFile()
    void this.release([task], { delaySeconds: outcome.notLoaded?.retrySeconds ?? 0 })
    const { settings, caller } = this.dependencies
    if (settings.onError === 'throw') this.#end.fail(taskError(task, outcome.error, caller))
    const error = this.loadFailures.add(call, outcome, this.held)
    if (error !== undefined) this.#end.fail(error)
  }

  packEnded(message: LeasedTask, completions: number): void {
    this.#completer.add({ task: message, value: undefined, durationSeconds: 0, completions })
  }

  failed(task: LeasedTask, error: unknown, durationSeconds: number): void {
    this.#dropLease(task)
    this.#record.failed++
    // If a failure can't be written (a full disk), the task is released, which needs no space.
    void this.#pendingWrites
      .add(
        () => this.policy.failed(task, error, durationSeconds),
        () => this.policy.release([task]),
      )
      .then(() => this.settled(task))
    const { settings, caller } = this.dependencies
    if (settings.onError === 'throw') this.#end.fail(taskError(task, error, caller))
  }

  settled(task: LeasedTask): void {
    this.#dropLease(task)
    this.guard.settled(task)
    this.activity.changed()
  }

  /** The lease of a task need not be renewed any more; that of a pack is kept as long as the pack is held. */
  #dropLease(task: LeasedTask): void {
    if (!(task instanceof PackedTask)) this.#keeper.drop(task)
  }

  /** `context().renew()`. */
  async renew(task: LeasedTask, seconds: number): Promise<void> {
    const lost = (await renewTasks(this.dependencies, [task], seconds)).get(task)
    if (lost !== undefined) {
      this.lost(leasedMessage(task), lost)
      throw lost
    }
    this.held.renewed(task, seconds)
  }

  lost(task: LeasedTask, error: Error): void {
    if (this.heldPacks.has(task)) {
      for (const call of this.packs.drop(task)) this.lost(call.task, error)
      this.settled(task)
      return
    }
    // An ended task is being deleted or released, which reports the lost lease.
    if (!this.held.has(task)) return
    this.dependencies.events.emit('lost', { task, error })
    this.abort(task, 'lease-lost', error)
  }

  /** Aborts a held task, started or not. */
  abort(task: LeasedTask, cause: AbortCause, error: Error): void {
    this.held.setAbortCause(task, cause)
    const call = this.held.callOf(task)
    if (call !== undefined && this.#run?.abort(call, error) === true) return
    if (!this.held.isLost(task)) void this.release([task])
    else {
      this.forget(task)
      this.settled(task)
    }
  }

  /** Drops a task that will not run. */
  forget(task: LeasedTask): void {
    this.#status.end(this.held.callOf(task))
    this.held.drop(task)
  }

  async release(tasks: readonly LeasedTask[], options?: ReleaseOptions): Promise<void> {
    if (tasks.length === 0) return
    for (const task of tasks) this.forget(task)
    if (this.#end.isStopping) this.activity.changed()
    await this.#pendingWrites.add(() => this.policy.release(tasks, options))
    for (const task of tasks) this.settled(task)
  }

  /** Releases tasks, and what has not begun of all packs. */
  releaseWithPacks(tasks: readonly LeasedTask[]): void {
    void this.release(tasks)
    if (this.heldPacks.size > 0) void this.#pendingWrites.add(() => this.packs.releaseWaiting())
  }

  releaseWaiting(): void {
    this.releaseWithPacks(this.#withdraw(0).map(taskOf))
  }

  /** Releases what idle workers may begin sooner. Tasks of packs are handed out again, unless their pack is shared. */
  shareWaiting(): void {
    const packed: PackedCall[] = []
    const single: LeasedTask[] = []
    for (const call of this.#withdraw(maxPrefetchMs)) {
      if (call instanceof PackedCall) packed.push(call)
      else single.push(taskOf(call))
    }
    void this.release(single)
    for (const call of packed) this.held.dropCall(call)
    this.packs.putBack(packed)
  }

  /** Resolves when what has ended or was released is written to the queue. */
  async writesDone(): Promise<void> {
    await this.#completer.done()
    await this.#pendingWrites.done()
    // The messages of packs whose last tasks were released.
    await this.#completer.done()
  }

  /** Nothing is held any more. */
  close(): void {
    this.#keeper.close()
    this.guard.close()
  }

  #withdraw(olderThanMs: number): Call[] {
    return [...(this.#buffer?.withdraw(olderThanMs) ?? []), ...(this.#run?.withdraw(olderThanMs) ?? [])]
  }
}
