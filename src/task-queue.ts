/** A queue that many processes and machines share. */
import { homedir } from 'node:os'
import type { QueueUrl } from './backend.js'
import { checkNames, checkSignal } from './check-options.js'
import { systemClock } from './clock.js'
import { isEmpty, untilEmpty } from './emptiness.js'
import { argumentError, LeaseLostError, UnsupportedOperationError } from './errors.js'
import { insertTasks } from './insert.js'
import { Leasing, throwFailed } from './leasing.js'
import { findTask, listTasks, requireListing } from './listing.js'
import { OpenOnce, requireProtocol } from './open-backend.js'
import { DeadLetterQueue, defaultDeadLetter } from './poll/dead-letter-queue.js'
import { type PollOptions, pollSettings } from './poll/poll-options.js'
import { printSteps } from './poll/step-printer.js'
import { Worker } from './poll/worker.js'
import { WorkerEvents } from './poll/worker-events.js'
import { refuseInThread } from './pool.js'
import { formatQueueUrl, parseQueueUrl } from './queue-url.js'
import type { LeasedTask, ListedTask } from './queued-task.js'
import { delaySeconds, leaseSeconds, requireSeconds } from './seconds.js'
import type { BareTask } from './task.js'
import type { InsertOptions, LeaseOptions, QueueStatus, TaskQueueOptions } from './task-queue-options.js'
import { iterableOf, lengthOf, type TaskIterable, TaskSource } from './task-source.js'
import { copyMessages, type MoveResult, moveMessages, type TransferOptions, type TransferPlan } from './transfer.js'

/**
 * A queue of tasks, named by a URL. Each verb opens it where that has not happened yet, so naming a queue costs and
 * changes nothing. Whoever is done calls `close`, or declares it with `await using`.
 */
export class TaskQueue implements AsyncDisposable {
  /** The queue's URL in its one form, e.g. `fq:///data/queue`. */
  readonly url: string
  readonly #backend: OpenOnce
  readonly #concurrency: number
  readonly #progress: boolean
  readonly #leasing: Leasing
  readonly #options: TaskQueueOptions
  /** What the workers of this queue object do, step by step, see {@link poll}. */
  readonly events = new WorkerEvents()

  /**
   * Names a queue; it is opened by the first verb.
   *
   * @param url `fq:///abs`, `fq://./rel`, `/abs`, `./rel`, `~/x`, `sqs://name`, `https://sqs.…`, `mem://name`, or a URL of a
   *   registered protocol
   * @throws TypeError where the URL or an option is not of its form
   * @throws UnsupportedProtocolError where nothing opens queues of this protocol
   */
  constructor(url: string, options: TaskQueueOptions = {}) {
    if (options === null || typeof options !== 'object') throw argumentError('options', 'an object', options)
    const { concurrency = 40, progress = true } = options
    requireCount('concurrency', concurrency)
    if (typeof progress !== 'boolean') throw argumentError('progress', 'a boolean', progress)
    const queueUrl = parseQueueUrl(url, { cwd: process.cwd(), home: homedir() })
    requireProtocol(queueUrl.protocol)
    this.url = formatQueueUrl(queueUrl)
    this.#concurrency = concurrency
    this.#progress = progress
    this.#leasing = new Leasing(concurrency)
    this.#options = options
    this.#backend = new OpenOnce(queueUrl, { ...options, concurrency })
  }

  /**
   * Inserts tasks: one, those of an iterable or async iterable, or copies of those in another queue. They are pulled as
   * they can be sent, so that memory stays flat; the first failure ends the insert.
   *
   * @returns how many were inserted
   * @throws InsertError with how many were inserted, failed and not tried
   */
  async insert(tasks: BareTask | TaskIterable<BareTask> | TaskQueue, options: InsertOptions = {}): Promise<number> {
    const { total, skipInsertCounter = false } = options
    const delay = requireSeconds('delaySeconds', options.delaySeconds ?? 0, { zero: true })
    if (total !== undefined) requireCount('total', total, 0)
    const given = tasks instanceof TaskQueue ? await this.#otherTasks(tasks) : iterableOf(tasks)
    const source = new TaskSource(given)
    const length = total ?? (tasks instanceof TaskQueue ? await tasks.enqueued() : lengthOf(given))
    return this.#backend.use(async backend =>
      insertTasks(backend, source, {
        delaySeconds: delaySeconds('delaySeconds', delay, backend.capabilities, backend.label),
        total: length,
        concurrency: this.#concurrency,
        progress: this.#progress,
        skipInsertCounter,
        signal: this.#backend.signal,
      }),
    )
  }

  /** The same as {@link insert}. */
  insertAll(tasks: BareTask | TaskIterable<BareTask> | TaskQueue, options: InsertOptions = {}): Promise<number> {
    return this.insert(tasks, options)
  }

  /** How many tasks are in the queue: ready, leased and delayed ones. */
  async enqueued(): Promise<number> {
    return (await this.status()).enqueued
  }

  /** How many tasks were inserted since the queue was made or rezeroed; NaN where the queue can't know. */
  async inserted(): Promise<number> {
    return (await this.status()).inserted
  }

  /** How many completions were tallied since the queue was made or rezeroed; NaN where the queue can't know. */
  async completed(): Promise<number> {
    return (await this.status()).completed
  }

  /** How many tasks are leased now, by whomever. */
  async leased(): Promise<number> {
    return (await this.status()).leased
  }

  /**
   * Whether no task is in the queue, leased and delayed ones included. Where the numbers are approximate this takes
   * several looks, and seconds.
   */
  isEmpty(): Promise<boolean> {
    return this.#backend.use(backend => isEmpty(backend, this.#backend.signal))
  }

  /** All numbers of the queue, read at once. */
  status(): Promise<QueueStatus> {
    return this.#backend.use(async backend => ({
      queue: backend.label,
      approximate: !backend.capabilities.exactCounts,
      ...(await backend.counts()),
    }))
  }

  /**
   * Leases tasks: until the lease ends nobody else is given them. Finish one with {@link delete}.
   *
   * @returns up to `numTasks` tasks; an empty array when nothing is free
   */
  async lease(options: LeaseOptions = {}): Promise<LeasedTask[]> {
    const { numTasks = 1, signal } = options
    const seconds = requireSeconds('seconds', options.seconds ?? 600)
    const waitSeconds = requireSeconds('waitSeconds', options.waitSeconds ?? 0, { zero: true })
    requireCount('numTasks', numTasks)
    return this.#backend.use(backend =>
      this.#leasing.lease(backend, {
        seconds: leaseSeconds('seconds', seconds, backend.capabilities, backend.label),
        max: numTasks,
        waitSeconds,
        signal: signal === undefined ? this.#backend.signal : AbortSignal.any([this.#backend.signal, signal]),
      }),
    )
  }

  /**
   * Extends the lease of a task, or of several: it ends `seconds` from now.
   *
   * @throws LeaseLostError where it ended before; an AggregateError for several. The others are renewed all the same.
   */
  async renew(tasks: LeasedTask | Iterable<LeasedTask>, seconds: number): Promise<void> {
    requireSeconds('seconds', seconds)
    const ours = this.#leasing.require(tasks)
    await this.#backend.use(async backend => {
      const rounded = leaseSeconds('seconds', seconds, backend.capabilities, backend.label)
      const failed = await this.#leasing.renew(backend, ours, rounded)
      throwFailed(failed, `${ours.length - failed.size} of ${ours.length} leases were renewed in ${backend.label}`)
    })
  }

  /**
   * Gives the lease of a task back, or of several: others may lease it at once, and no attempt is counted where the queue
   * can tell.
   *
   * @throws LeaseLostError where it ended before; an AggregateError for several. The others are given back all the same.
   */
  async cancel(tasks: LeasedTask | Iterable<LeasedTask>): Promise<void> {
    const ours = this.#leasing.require(tasks)
    await this.#backend.use(async backend => {
      const failed = await this.#leasing.release(backend, ours, { delaySeconds: 0 })
      throwFailed(failed, `${ours.length - failed.size} of ${ours.length} leases were given back to ${backend.label}`)
    })
  }

  /**
   * Removes a finished task, or several.
   *
   * @param options.tally count each as completed. Default false
   * @returns how many were removed: all of them
   * @throws LeaseLostError where the lease ended before: someone else may be running the task; an AggregateError for
   *   several. The others are removed all the same.
   */
  async delete(tasks: LeasedTask | Iterable<LeasedTask>, options: { tally?: boolean } = {}): Promise<number> {
    const { tally = false } = options
    if (typeof tally !== 'boolean') throw argumentError('tally', 'a boolean', tally)
    const ours = this.#leasing.require(tasks)
    return this.#backend.use(async backend => {
      const failed = await this.#leasing.delete(backend, ours, { tally })
      throwFailed(failed, `${ours.length - failed.size} of ${ours.length} tasks were deleted from ${backend.label}`)
      return ours.length
    })
  }

  /**
   * Makes every leased task free, whoever holds it; delayed ones stay delayed. For when all workers are known to be dead.
   *
   * @returns how many were leased
   * @throws UnsupportedOperationError where the queue doesn't know who holds its tasks
   */
  releaseAll(): Promise<number> {
    return this.#backend.use(async backend => {
      if (backend.releaseAll === undefined) {
        throw new UnsupportedOperationError(
          `${backend.label} can't release what others have leased: cancel the tasks you hold, or wait until the leases end`,
        )
      }
      return backend.releaseAll()
    })
  }

  /**
   * Sets the counts of inserted and completed tasks to 0.
   *
   * @throws UnsupportedOperationError where the queue has no such counts
   */
  rezero(): Promise<void> {
    return this.#backend.use(async backend => {
      if (backend.rezero === undefined) {
        throw new UnsupportedOperationError(
          `${backend.label} keeps no counts of inserted and completed tasks to rezero`,
        )
      }
      await backend.rezero()
    })
  }

  /**
   * Removes every task, whoever holds it, and sets the counts to 0.
   *
   * @param options.native the engine's own way where there is one (SQS: PurgeQueue, which takes up to 60 s). Default false
   */
  async purge(options: { native?: boolean } = {}): Promise<void> {
    const { native = false } = options
    if (typeof native !== 'boolean') throw argumentError('native', 'a boolean', native)
    await this.#backend.use(backend => backend.purge({ native }))
  }

  /**
   * Looks at the tasks in the queue, in no particular order, at flat memory. None is leased; those that come or go
   * meanwhile may be missed. A message that is no task is left out with a warning.
   *
   * @throws UnsupportedOperationError where looking would mean leasing
   */
  async *tasks(): AsyncGenerator<ListedTask, void, undefined> {
    for await (const task of listTasks(await this.#backend.open())) {
      this.#backend.requireOpen()
      yield task
    }
  }

  /**
   * Looks at one task, with the failures that were recorded so far.
   *
   * @returns `undefined` where no task of this id is in the queue
   * @throws UnsupportedOperationError where looking would mean leasing
   * @throws Error where the message of this id is no task
   */
  find(id: string): Promise<ListedTask | undefined> {
    if (typeof id !== 'string' || id === '') throw argumentError('id', 'the id of a task', id)
    return this.#backend.use(backend => findTask(backend, id))
  }

  /** All of {@link tasks} in an array. */
  async list(): Promise<ListedTask[]> {
    const tasks: ListedTask[] = []
    for await (const task of this.tasks()) tasks.push(task)
    return tasks
  }

  /**
   * Copies all messages into another queue, byte for byte, under their ids: leased and delayed ones too, which are ready
   * in the copy. Those that are there already are passed over, so a copy that was interrupted is finished by another one.
   * To insert tasks anew, under new ids, see {@link insert}.
   *
   * @returns how many were copied
   * @throws UnsupportedOperationError where looking at this queue would mean leasing
   */
  copyTo(destination: TaskQueue, options: TransferOptions = {}): Promise<number> {
    return this.#transfer(destination, options, copyMessages)
  }

  /**
   * Moves the messages that are ready into another queue, byte for byte, under their ids, until none is left; safe beside
   * workers on both queues. Leased and delayed ones stay. Whoever dies while moving, nothing is lost; between file queues
   * nothing is doubled either, in whatever moment. Where one of them is SQS, what was under way at the death can be in both
   * queues, and moving again inserts it again: a file queue recognises it by its id as long as nobody has leased it.
   *
   * A moved task begins anew: its attempts are not counted on.
   */
  moveTo(destination: TaskQueue, options: TransferOptions = {}): Promise<MoveResult> {
    return this.#transfer(destination, options, moveMessages)
  }

  /**
   * Resolves when the queue {@link isEmpty}.
   *
   * @param options.intervalSeconds how long to wait between two looks. Default 2
   * @param options.signal its abort rejects with its reason
   */
  async blockUntilEmpty(options: { intervalSeconds?: number; signal?: AbortSignal } = {}): Promise<void> {
    const intervalSeconds = requireSeconds('intervalSeconds', options.intervalSeconds ?? 2)
    const closing = this.#backend.signal
    const signal = options.signal === undefined ? closing : AbortSignal.any([closing, options.signal])
    signal.throwIfAborted()
    await this.#backend.use(backend => untilEmpty(backend, intervalSeconds, signal))
  }

  /**
   * Works: leases tasks, runs them, removes them, until something ends it: a signal (SIGINT, SIGTERM), `stopFn`,
   * `untilEmpty`, `until`, `close`. Running tasks finish then, and what was leased and not begun is given back.
   *
   * @returns how many tasks were executed: run to their end and removed
   * @throws TaskError with `onError: 'throw'`; what `beforeFn`, `afterFn` or the queue itself threw
   */
  async poll(options: PollOptions = {}): Promise<number> {
    const settings = pollSettings(options)
    refuseInThread()
    const deadLetter = settings.deadLetter === undefined ? undefined : this.#other(settings.deadLetter)
    return this.#backend.use(async backend => {
      const dead = new DeadLetterQueue(deadLetter ?? defaultDeadLetter(backend), this.#options)
      const printer = settings.verbose ? printSteps(this.events) : undefined
      try {
        const worker = new Worker({
          backend,
          leasing: this.#leasing,
          events: this.events,
          settings,
          openDeadLetters: () => dead.open(),
          clock: systemClock,
          random: Math.random,
          closing: this.#backend.signal,
        })
        return await worker.work()
      } finally {
        printer?.dispose()
        await dead.close()
      }
    })
  }

  /**
   * The dead letters of this queue: tasks that failed too often, each with the reasons in `failures`.
   *
   * @param options.deadLetter URL of the queue where they are. Default: the queue's own
   * @throws UnsupportedOperationError where there is no such queue, or where looking would mean leasing
   */
  async *failures(options: { deadLetter?: string } = {}): AsyncGenerator<ListedTask, void, undefined> {
    const given = options.deadLetter === undefined ? undefined : this.#other(options.deadLetter)
    const backend = await this.#backend.open()
    const url = given ?? defaultDeadLetter(backend)
    if (url === undefined) {
      throw new UnsupportedOperationError(
        `${backend.label} has no dead letters of its own: pass the URL of the queue as \`deadLetter\``,
      )
    }
    const dead = new DeadLetterQueue(url, this.#options)
    try {
      const letters = await dead.open()
      if (letters !== undefined) yield* listTasks(letters.backend)
    } finally {
      await dead.close()
    }
  }

  #other(url: string): QueueUrl {
    const other = parseQueueUrl(url, { cwd: process.cwd(), home: homedir() })
    requireProtocol(other.protocol)
    if (formatQueueUrl(other) === this.url) throw argumentError('deadLetter', 'another queue than the one itself', url)
    return other
  }

  /**
   * Ends what is under way, gives back what is leased, and lets go of the backend: the process may exit. Verbs after it
   * are refused; closing again does nothing.
   */
  async close(): Promise<void> {
    await this.#backend.close(async backend => {
      const failed = await this.#leasing.release(backend, this.#leasing.held, { delaySeconds: 0 })
      // A lease that is over needs no giving back.
      const kept = [...failed].filter(([, error]) => !(error instanceof LeaseLostError))
      throwFailed(new Map(kept), `${backend.label} was closed`)
    })
  }

  /** {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #transfer<R>(
    destination: TaskQueue,
    options: TransferOptions,
    transfer: (plan: TransferPlan) => Promise<R>,
  ): Promise<R> {
    checkNames('options of a transfer', options, ['signal'])
    const given = checkSignal('signal', options.signal)
    if (!(destination instanceof TaskQueue)) throw argumentError('destination', 'a TaskQueue', destination)
    if (destination.url === this.url) throw argumentError('destination', 'another queue than the one itself', this.url)
    const ends = [this.#backend.signal, destination.#backend.signal, ...(given === undefined ? [] : [given])]
    return this.#backend.use(from =>
      destination.#backend.use(to =>
        transfer({
          from,
          to,
          concurrency: this.#concurrency,
          progress: this.#progress,
          signal: AbortSignal.any(ends),
          clock: systemClock,
        }),
      ),
    )
  }

  /** Refused before anything is inserted: a queue into itself, which could go on without end, and one without a listing. */
  async #otherTasks(other: TaskQueue): Promise<AsyncIterable<ListedTask>> {
    if (other.url === this.url) throw argumentError('tasks', 'another queue than the one inserted into', other.url)
    requireListing(await other.#backend.open())
    return other.tasks()
  }
}

function requireCount(name: string, value: number, least = 1): void {
  if (!Number.isInteger(value) || value < least) throw argumentError(name, `an integer of ${least} or more`, value)
}
