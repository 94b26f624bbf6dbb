/** A queue that many processes and machines share. */
import { setMaxListeners } from 'node:events'
import type { WorkerStatus } from './backend/backend.js'
import { bulkInsert } from './bulk-insert/bulk-insert.js'
import { removeJournals } from './bulk-insert/journal-files.js'
import { bulkInsertTasks, checkResumeName, queueReference, requireThreads } from './bulk-insert/plan.js'
import { callSiteOf } from './errors/call-site.js'
import { checkBoolean, checkNames, checkParallel, checkSignal } from './errors/check-options.js'
import { argumentError, UnsupportedOperationError } from './errors/errors.js'
import type { PollOptions } from './poll/poll-options.js'
import { pollQueue } from './poll/poll-queue.js'
import { WorkerEvents } from './poll/worker-events.js'
import type { OptionsOf } from './queue/backend-options.js'
import { copyMessages } from './queue/copy-messages.js'
import { countFailures, listFailures, purgeFailures, type RetryOptions, retryFailures } from './queue/dead-letters.js'
import { isEmpty, untilEmpty } from './queue/emptiness.js'
import { insertTasks, payloadText } from './queue/insert.js'
import { deleteTasks, leaseTasks, releaseLeases, renewLeases } from './queue/lease-verbs.js'
import { findTask, listTasks, requireListing } from './queue/listing.js'
import { type MoveResult, moveMessages } from './queue/move-messages.js'
import type { OpenOnce } from './queue/open-backend.js'
import { QueueConnection } from './queue/queue-connection.js'
import type { LeasedTask, ListedTask } from './queue/queued-task.js'
import { isSameQueue } from './queue/same-queue.js'
import type { InsertOptions, LeaseOptions, QueueStatus } from './queue/task-queue-options.js'
import type { TransferOptions, TransferPlan } from './queue/transfer.js'
import type { BareTask } from './tasks/task.js'
import { iterableOf, lengthOf, type TaskIterable, TaskSource } from './tasks/task-source.js'
import { systemClock } from './time/clock.js'
import { delaySeconds, requireSeconds } from './time/seconds.js'

/**
 * A queue of tasks, named by a URL. Each verb opens it where that has not happened yet, so naming a queue costs and
 * changes nothing. Whoever is done calls `close`, or declares it with `await using`.
 */
// Only the constructor's types use `Url`: the options that a queue takes depend on its kind.
export class TaskQueue<Url extends string = string> implements AsyncDisposable {
  /** The queue's URL in its one form, e.g. `fq:///data/queue`. */
  readonly url: string
  /** What the workers of this queue object do, step by step, see {@link poll}. */
  readonly events = new WorkerEvents()
  readonly #queue: QueueConnection
  readonly #backend: OpenOnce

  /**
   * Names a queue; it is opened by the first verb.
   *
   * @param url `fq:///abs`, `fq://./rel`, `/abs`, `./rel`, `~/x`, `sqs://name`, `https://sqs.…`, `mem://name`, or a URL of a
   *   registered protocol
   * @throws TypeError where the URL or an option is not of its form, or queues of this kind have no such option
   * @throws UnsupportedProtocolError where nothing opens queues of this protocol
   */
  constructor(url: Url, options?: OptionsOf<Url>) {
    this.#queue = new QueueConnection(url, options ?? {})
    this.url = this.#queue.url
    this.#backend = this.#queue.backend
  }

  /**
   * Inserts tasks: one, those of an iterable or async iterable, or copies of those in another queue. They are pulled as
   * they can be sent, so that memory stays flat; the first failure ends the insert. With `parallel`, threads insert slices,
   * and the others go on where one fails; with `resume`, an interrupted insert goes on.
   *
   * @returns how many were inserted; of an upload that goes on, those that were missing
   * @throws InsertError with how many were inserted, failed and not tried
   * @throws UnsupportedOperationError with `parallel`, where the queue can't be opened in other threads
   */
  async insert(tasks: BareTask | TaskIterable<BareTask> | TaskQueue, options: InsertOptions = {}): Promise<number> {
    checkNames('options of insert', options, ['delaySeconds', 'total', 'parallel', 'resume', 'skipInsertCounter'])
    const { total } = options
    const skipInsertCounter = checkBoolean('skipInsertCounter', options.skipInsertCounter, false)
    const delay = requireSeconds('delaySeconds', options.delaySeconds ?? 0, { zero: true })
    if (total !== undefined) requireCount('total', total, 0)
    const threads = checkParallel(options.parallel, 0)
    const resume = checkResumeName(options.resume)
    if (tasks instanceof TaskQueue && resume !== undefined) {
      throw argumentError('resume', 'left out where another queue is copied, whose tasks come in no order', resume)
    }
    const given = tasks instanceof TaskQueue ? await this.#otherTasks(tasks) : iterableOf(tasks)
    const length = total ?? (tasks instanceof TaskQueue ? await tasks.enqueued() : lengthOf(given))
    const inSlices = threads > 0 || resume !== undefined
    const source = inSlices ? bulkInsertTasks(given, length, threads) : new TaskSource(given)
    const queue =
      threads > 0
        ? queueReference(this.#queue.queueUrl, { ...this.#queue.options, concurrency: this.#queue.concurrency })
        : undefined
    return this.#backend.use(async backend => {
      if (threads > 0) requireThreads(backend)
      const plan = {
        delaySeconds: delaySeconds('delaySeconds', delay, backend.capabilities, backend.label),
        concurrency: this.#queue.concurrency,
        progress: this.#queue.progress,
        skipInsertCounter,
        signal: this.#backend.signal,
      }
      return source instanceof TaskSource
        ? insertTasks(backend, source, { ...plan, textOf: payloadText, total: length })
        : bulkInsert({ ...plan, backend, queue, tasks: source, threads, resume })
    })
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

  /** Whether there is such a queue; the first insert makes a folder into one. */
  exists(): Promise<boolean> {
    return this.#backend.use(async backend => (await backend.exists?.()) ?? true)
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
  lease(options: LeaseOptions = {}): Promise<LeasedTask[]> {
    return leaseTasks(this.#queue, options)
  }

  /**
   * Extends the lease of a task, or of several: it ends `seconds` from now.
   *
   * @throws LeaseLostError where it ended before; an AggregateError for several. The others are renewed all the same.
   */
  renew(tasks: LeasedTask | Iterable<LeasedTask>, seconds: number): Promise<void> {
    return renewLeases(this.#queue, tasks, seconds)
  }

  /**
   * Gives the lease of a task back, or of several: others may lease it at once, and no attempt is counted where the queue
   * can tell.
   *
   * @throws LeaseLostError where it ended before; an AggregateError for several. The others are given back all the same.
   */
  release(tasks: LeasedTask | Iterable<LeasedTask>): Promise<void> {
    return releaseLeases(this.#queue, tasks)
  }

  /** @deprecated The former name of {@link release}. */
  cancel(tasks: LeasedTask | Iterable<LeasedTask>): Promise<void> {
    return this.release(tasks)
  }

  /**
   * Removes a finished task, or several.
   *
   * @param options.tally count each as completed. Default false
   * @returns how many were removed: all of them
   * @throws LeaseLostError where the lease ended before: someone else may be running the task; an AggregateError for
   *   several. The others are removed all the same.
   */
  delete(tasks: LeasedTask | Iterable<LeasedTask>, options: { tally?: boolean } = {}): Promise<number> {
    return deleteTasks(this.#queue, tasks, options)
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
          `${backend.label} can't release what others have leased: release() those you hold, or wait until the leases end`,
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
   * Removes every task, also leased ones, sets the counts to 0 and forgets all uploads. Dead letters stay.
   *
   * @param options.native the engine's own way where there is one (SQS: PurgeQueue, which takes up to 60 s). Default false
   */
  async purge(options: { native?: boolean } = {}): Promise<void> {
    checkNames('options of purge', options, ['native'])
    const native = checkBoolean('native', options.native, false)
    await this.#backend.use(async backend => {
      // Before, so that an upload that is under way says that its tasks are gone; and after, for those that were begun since.
      removeJournals(backend)
      await backend.purge({ native })
      removeJournals(backend)
    })
  }

  /**
   * Looks at the tasks in the queue, in no particular order, each once. None is leased; those that come or go meanwhile may
   * be missed. A message that is no task is left out with a warning.
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
   * @param id the task's id, or as much of its beginning as no other task's id has
   * @returns `undefined` where no task of this id is in the queue
   * @throws UnsupportedOperationError where looking would mean leasing
   * @throws Error where the message of this id is no task, or several ids begin with it
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
    checkNames('options of blockUntilEmpty', options, ['intervalSeconds', 'signal'])
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
  poll(options: PollOptions = {}): Promise<number> {
    return pollQueue(this.#queue, this.events, options, callSiteOf(this.poll))
  }

  /**
   * What the workers of this queue wrote down last, wherever they run. One that has been silent for a minute is left out.
   *
   * @throws UnsupportedOperationError where the queue can't hold that
   */
  workers(): Promise<readonly WorkerStatus[]> {
    return this.#backend.use(async backend => {
      if (backend.workers === undefined) {
        throw new UnsupportedOperationError(
          `${backend.label} can't hold what its workers do: ask them for their events`,
        )
      }
      return backend.workers()
    })
  }

  /**
   * The dead letters of this queue: tasks that failed too often, each with the reasons in `failures`.
   *
   * @param options.deadLetter URL of the queue where they are. Default: the queue's own
   * @throws UnsupportedOperationError where there is no such queue, or where looking would mean leasing
   */
  failures(options: { deadLetter?: string } = {}): AsyncGenerator<ListedTask, void, undefined> {
    return listFailures(this.#queue, options.deadLetter)
  }

  /**
   * How many dead letters there are; NaN where the queue has no place of its own for them.
   *
   * @param options.deadLetter URL of the queue where they are. Default: the queue's own
   */
  failed(options: { deadLetter?: string } = {}): Promise<number> {
    return this.#backend.use(backend => countFailures(this.#queue, backend, options.deadLetter))
  }

  /**
   * Removes every dead letter of this queue, which {@link purge} leaves where they are.
   *
   * @param options.deadLetter URL of the queue where they are. Default: the queue's own
   * @throws UnsupportedOperationError where there is no queue of dead letters
   */
  purgeFailures(options: { deadLetter?: string } = {}): Promise<void> {
    checkNames('options of purgeFailures', options, ['deadLetter'])
    return purgeFailures(this.#queue, options.deadLetter)
  }

  /**
   * Puts dead letters back into this queue: they start afresh, under their ids, with their history, of which no attempt is
   * counted. Those that fail again in the meantime are left where they are.
   *
   * @returns how many were put back
   * @throws UnsupportedOperationError where there is no queue of dead letters
   */
  retry(options: RetryOptions = {}): Promise<number> {
    return retryFailures(this.#queue, options)
  }

  /**
   * Ends what is under way, gives back what is leased, and lets go of the backend: the process may exit. Verbs after it
   * are refused; closing again does nothing.
   */
  close(): Promise<void> {
    return this.#queue.close()
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
    const signal = AbortSignal.any(ends)
    // As many listen as there are requests in flight; Node takes more than 10 for a leak.
    setMaxListeners(0, signal)
    return this.#backend.use(from =>
      destination.#backend.use(async to => {
        // It would be moved into itself without end.
        if (await isSameQueue(from, to)) {
          throw argumentError('destination', `another queue than ${this.url}`, destination.url)
        }
        return transfer({
          from,
          to,
          concurrency: this.#queue.concurrency,
          progress: this.#queue.progress,
          signal,
          clock: systemClock,
        })
      }),
    )
  }

  /** Refused before anything is inserted: a queue into itself, which could go on without end, and one without a listing. */
  async #otherTasks(other: TaskQueue): Promise<AsyncIterable<ListedTask>> {
    if (other.url === this.url) throw argumentError('tasks', 'another queue than the one inserted into', other.url)
    const backend = await other.#backend.open()
    if (await isSameQueue(await this.#backend.open(), backend)) {
      throw argumentError('tasks', `another queue than ${this.url} under another name`, other.url)
    }
    requireListing(backend)
    return other.tasks()
  }
}

function requireCount(name: string, value: number, least = 1): void {
  if (!Number.isInteger(value) || value < least) throw argumentError(name, `an integer of ${least} or more`, value)
}
