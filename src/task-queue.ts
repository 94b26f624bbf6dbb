/** A queue that many processes and machines share. */
import type { WorkerStatus } from './backend/backend.js'
import { checkInsertOptions, insertGiven } from './bulk-insert/insert-given.js'
import { removeJournals } from './bulk-insert/journal-files.js'
import type { OutputPiece } from './commands/log-reader.js'
import { callSiteOf } from './errors/call-site.js'
import { checkBoolean, checkNames } from './errors/check-options.js'
import { argumentError, UnsupportedOperationError } from './errors/errors.js'
import type { PollOptions } from './poll/poll-options.js'
import { pollQueue } from './poll/poll-queue.js'
import { WorkerEvents } from './poll/worker-events.js'
import type { OptionsOf } from './queue/backend-options.js'
import { copyMessages } from './queue/copy-messages.js'
import { countFailures, findFailure, listFailures, purgeFailures } from './queue/dead-letters.js'
import { isEmpty, untilEmpty } from './queue/emptiness.js'
import { deleteTasks, leaseTasks, releaseLeases, renewLeases } from './queue/lease-verbs.js'
import { findTask, listTasks, requireListing } from './queue/listing.js'
import { type MoveResult, moveMessages } from './queue/move-messages.js'
import type { OpenOnce } from './queue/open-backend.js'
import { QueueConnection } from './queue/queue-connection.js'
import type { LeasedTask, ListedTask } from './queue/queued-task.js'
import { type RetryOptions, retryFailures } from './queue/retry-dead-letters.js'
import {
  dropRun,
  mapInputs,
  type QueueMapOptions,
  type RunResultsOptions,
  runNames,
  runResults,
} from './queue/run-results.js'
import { isSameQueue } from './queue/same-queue.js'
import { type TaskOutputOptions, taskOutput } from './queue/task-output.js'
import type { InsertOptions, LeaseOptions, QueueStatus } from './queue/task-queue-options.js'
import type { TransferOptions } from './queue/transfer.js'
import { transferBetween } from './queue/transfer-between.js'
import type { RunResult } from './results/read-results.js'
import type { BareTask, FunctionTask } from './tasks/task.js'
import { iterableOf, lengthOf, type TaskIterable } from './tasks/task-source.js'
import { requireSeconds } from './time/seconds.js'

/**
 * A queue of tasks, named by a URL. The first method call opens it, so the constructor costs and changes nothing. Call
 * `close` at the end, or declare it with `await using`.
 */
// Only the constructor's types use `Url`: the options that a queue takes depend on its kind.
export class TaskQueue<Url extends string = string> implements AsyncDisposable {
  /** The queue's URL in its one form, e.g. `fq:///data/queue`. */
  readonly url: string
  /** Events of the workers of this object, see {@link poll}. */
  readonly events = new WorkerEvents()
  readonly #queue: QueueConnection
  readonly #backend: OpenOnce

  /**
   * Names a queue; it is opened by the first verb.
   *
   * @param url `fq:///abs`, `fq://./rel`, `/abs`, `./rel`, `~/x`, `sqs://name`, `https://sqs.…`,
   *   `postgres://…?queue=name`, `mem://name`, or a URL of a registered protocol
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
   * and a failed slice does not stop the others; with `resume`, an interrupted insert is continued.
   *
   * With `pack`, a message holds several tasks.
   *
   * @returns how many were inserted; of a resumed insert, those that were missing
   * @throws InsertError with how many were inserted, failed and not tried
   * @throws UnsupportedOperationError with `parallel`, where the queue can't be opened in other threads
   */
  async insert(tasks: BareTask | TaskIterable<BareTask> | TaskQueue, options: InsertOptions = {}): Promise<number> {
    const checked = checkInsertOptions(options)
    const { total, resume } = checked
    if (!(tasks instanceof TaskQueue)) {
      const given = iterableOf(tasks)
      return insertGiven(this.#queue, given, total ?? lengthOf(given), checked)
    }
    if (resume !== undefined) {
      throw argumentError('resume', 'left out where another queue is copied, whose tasks come in no order', resume)
    }
    const others = await this.#otherTasks(tasks)
    return insertGiven(this.#queue, others, total ?? (await tasks.enqueued()), checked)
  }

  /** The same as {@link insert}. */
  insertAll(tasks: BareTask | TaskIterable<BareTask> | TaskQueue, options: InsertOptions = {}): Promise<number> {
    return this.insert(tasks, options)
  }

  /** The number of tasks in the queue: ready, leased and delayed ones. */
  async enqueued(): Promise<number> {
    return (await this.status()).enqueued
  }

  /** The number of tasks inserted since the queue was created or rezeroed; NaN if the queue can't know. */
  async inserted(): Promise<number> {
    return (await this.status()).inserted
  }

  /** The number of completions tallied since the queue was created or rezeroed; NaN if the queue can't know. */
  async completed(): Promise<number> {
    return (await this.status()).completed
  }

  /** The number of tasks leased now, by any process. */
  async leased(): Promise<number> {
    return (await this.status()).leased
  }

  /** True if the queue exists; the first insert creates a file queue. */
  exists(): Promise<boolean> {
    return this.#backend.use(async backend => (await backend.exists?.()) ?? true)
  }

  /**
   * True if no task is in the queue, including leased and delayed ones. If the counts are approximate, this takes several
   * reads, and seconds.
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
   * Leases tasks: until the lease ends no other process gets them. Finish one with {@link delete}.
   *
   * @returns up to `numTasks` tasks; an empty array if none is ready
   */
  lease(options: LeaseOptions = {}): Promise<LeasedTask[]> {
    return leaseTasks(this.#queue, options)
  }

  /**
   * Extends the lease of a task, or of several: it ends `seconds` from now.
   *
   * @throws LeaseLostError if it ended before; an AggregateError for several. The others are renewed.
   */
  renew(tasks: LeasedTask | Iterable<LeasedTask>, seconds: number): Promise<void> {
    return renewLeases(this.#queue, tasks, seconds)
  }

  /**
   * Releases a leased task, or several: others may lease it at once, and no attempt is counted if the queue supports
   * that.
   *
   * @throws LeaseLostError if the lease ended before; an AggregateError for several. The others are released nevertheless.
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
   * @throws LeaseLostError where the lease ended before: another worker may be running the task; an AggregateError for
   *   several. The others are removed nevertheless.
   */
  delete(tasks: LeasedTask | Iterable<LeasedTask>, options: { tally?: boolean } = {}): Promise<number> {
    return deleteTasks(this.#queue, tasks, options)
  }

  /**
   * Releases every leased task of all processes; delayed ones stay delayed. For when all workers are known to be dead.
   *
   * @returns how many were leased
   * @throws UnsupportedOperationError if the queue doesn't record who holds its tasks
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
   * Removes every task, also leased ones, sets the counts to 0 and removes the journals of named inserts. Dead letters stay.
   *
   * @param options.native use the backend's own purge if there is one (SQS: PurgeQueue, which takes up to 60 s). Default
   * false
   */
  async purge(options: { native?: boolean } = {}): Promise<void> {
    checkNames('options of purge', options, ['native'])
    const native = checkBoolean('native', options.native, false)
    await this.#backend.use(async backend => {
      // Before, so that a running insert fails because its tasks are gone; and after, for inserts that started since.
      removeJournals(backend)
      await backend.purge({ native })
      removeJournals(backend)
    })
  }

  /**
   * Lists the tasks in the queue, in no particular order, each once, without leasing them. Tasks that come or go during the
   * listing may be missed. A message that is no task is left out with a warning.
   *
   * @throws UnsupportedOperationError if listing would mean leasing
   */
  async *tasks(): AsyncGenerator<ListedTask, void, undefined> {
    for await (const task of listTasks(await this.#backend.open())) {
      this.#backend.requireOpen()
      yield task
    }
  }

  /**
   * Returns one task, with the failures that were recorded so far.
   *
   * @param id the task's id, or as much of its beginning as no other task's id has
   * @returns `undefined` where no task of this id is in the queue
   * @throws UnsupportedOperationError if listing would mean leasing
   * @throws Error where the message of this id is no task, or several ids begin with it
   */
  find(id: string): Promise<ListedTask | undefined> {
    if (typeof id !== 'string' || id === '') throw argumentError('id', 'the id of a task', id)
    return this.#backend.use(backend => findTask(backend, id))
  }

  /**
   * Yields what a command wrote to stdout and stderr, out of the logs of the workers.
   *
   * @param id the task's id, or as much of its beginning as no other task in the logs has
   * @throws Error where the logs have no such task
   */
  taskOutput(id: string, options: TaskOutputOptions = {}): AsyncGenerator<OutputPiece, void, undefined> {
    return taskOutput(this.#queue, id, options)
  }

  /**
   * Inserts a call of a registered function for each input, and yields the outcomes as workers anywhere end them: each exactly once, whatever ran
   * twice, failures for good with their reasons, in no order. It ends when each has one.
   *
   * @param fn a function that `queueable` registered, or `partial` of one, with one argument to come
   * @throws InsertError where the inputs can't be inserted, after the outcomes that are there; the reason of `options.signal`
   * @throws UnsupportedOperationError where the queue keeps no outcomes and no other is named for them
   */
  map<A, R>(
    fn: ((input: A) => R) | FunctionTask<[A], R>,
    inputs: Iterable<NoInfer<A>> | AsyncIterable<NoInfer<A>>,
    options: QueueMapOptions = {},
  ): AsyncGenerator<RunResult<Awaited<R>>, void, undefined> {
    return mapInputs(this.#queue, (tasks, insertOptions) => this.insert(tasks, insertOptions), fn, inputs, options)
  }

  /**
   * Yields the outcomes of a named run of {@link map} from the first one on, also in another process: each exactly once, until each task
   * has one.
   *
   * @throws Error where there is no such run
   */
  results<T = unknown>(run: string, options: RunResultsOptions = {}): AsyncGenerator<RunResult<T>, void, undefined> {
    return runResults<T>(this.#queue, run, options)
  }

  /** The names of the runs whose outcomes are kept. @param options.results as of {@link results} */
  resultRuns(options: { results?: string } = {}): Promise<readonly string[]> {
    checkNames('options of resultRuns', options, ['results'])
    return runNames(this.#queue, options.results)
  }

  /** Removes the outcomes of a run; its tasks stay. @param options.results as of {@link results} */
  dropResults(run: string, options: { results?: string } = {}): Promise<void> {
    checkNames('options of dropResults', options, ['results'])
    return dropRun(this.#queue, run, options.results)
  }

  /** All of {@link tasks} in an array. */
  async list(): Promise<ListedTask[]> {
    const tasks: ListedTask[] = []
    for await (const task of this.tasks()) tasks.push(task)
    return tasks
  }

  /**
   * Copies all messages into another queue, byte for byte, under their ids: leased and delayed ones too, which are ready
   * in the copy. Those that are there already are skipped, so an interrupted copy is completed by another one. To
   * insert tasks under new ids, see {@link insert}.
   *
   * @returns how many were copied
   * @throws UnsupportedOperationError if listing this queue would mean leasing
   */
  async copyTo(destination: TaskQueue, options: TransferOptions = {}): Promise<number> {
    return transferBetween(this.#queue, TaskQueue.#connectionOf(destination), options, copyMessages)
  }

  /**
   * Moves the messages that are ready into another queue, byte for byte, under their ids, until none is left; safe
   * beside workers on both queues. Leased and delayed ones stay. A crash loses nothing; between file queues it
   * duplicates nothing either. If one of them is SQS, messages that were in transit at a crash can be in both queues,
   * and moving again inserts them again: a file queue recognises them by id as long as they were not leased.
   *
   * The attempts of a moved task are counted from 1 again.
   */
  async moveTo(destination: TaskQueue, options: TransferOptions = {}): Promise<MoveResult> {
    return transferBetween(this.#queue, TaskQueue.#connectionOf(destination), options, moveMessages)
  }

  /**
   * Resolves when the queue {@link isEmpty}.
   *
   * @param options.intervalSeconds time between two reads. Default 2
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
   * Runs a worker: leases tasks, runs them, deletes them, until it is stopped: by a signal (SIGINT, SIGTERM), `stopFn`,
   * `untilEmpty`, `until`, `close`. Running tasks finish then, and leased tasks that have not started are released.
   *
   * @returns how many tasks were executed: run to their end and deleted
   * @throws TaskError with `onError: 'throw'`; any error of `beforeFn`, `afterFn` or the queue
   */
  poll(options: PollOptions = {}): Promise<number> {
    return pollQueue(this.#queue, this.events, options, callSiteOf(this.poll))
  }

  /**
   * Returns the last status of each worker of this queue, on any machine. One that was silent for a minute is left out.
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
   * Lists the dead letters of this queue: tasks that failed too often, each with the reasons in `failures`.
   *
   * @param options.deadLetter URL of their queue. Default: the queue's own
   * @throws UnsupportedOperationError if there is no such queue, or if listing would mean leasing
   */
  failures(options: { deadLetter?: string } = {}): AsyncGenerator<ListedTask, void, undefined> {
    return listFailures(this.#queue, options.deadLetter)
  }

  /**
   * Returns one dead letter of this queue, with the reasons in `failures`.
   *
   * @param id the task's id, or a beginning that no other dead letter's id has
   * @param options.deadLetter URL of their queue. Default: the queue's own
   * @returns `undefined` if no dead letter has this id
   * @throws UnsupportedOperationError if there is no such queue, or if listing would mean leasing
   */
  findFailure(id: string, options: { deadLetter?: string } = {}): Promise<ListedTask | undefined> {
    if (typeof id !== 'string' || id === '') throw argumentError('id', 'the id of a task', id)
    checkNames('options of findFailure', options, ['deadLetter'])
    return findFailure(this.#queue, id, options.deadLetter)
  }

  /**
   * The number of dead letters; NaN if the queue has no dead-letter queue of its own.
   *
   * @param options.deadLetter URL of their queue. Default: the queue's own
   */
  failed(options: { deadLetter?: string } = {}): Promise<number> {
    return this.#backend.use(backend => countFailures(this.#queue, backend, options.deadLetter))
  }

  /**
   * Removes every dead letter of this queue, which {@link purge} keeps.
   *
   * @param options.deadLetter URL of their queue. Default: the queue's own
   * @throws UnsupportedOperationError if there is no dead-letter queue
   */
  purgeFailures(options: { deadLetter?: string } = {}): Promise<void> {
    checkNames('options of purgeFailures', options, ['deadLetter'])
    return purgeFailures(this.#queue, options.deadLetter)
  }

  /**
   * Puts dead letters back into this queue: under their ids, with attempts counted from 1 and their history. Those that
   * fail again during the call stay dead letters.
   *
   * @returns how many were put back
   * @throws UnsupportedOperationError if there is no dead-letter queue
   */
  retry(options: RetryOptions = {}): Promise<number> {
    return retryFailures(this.#queue, options)
  }

  /**
   * Ends pending calls, releases leased tasks, and closes the backend, so that the process may exit. Later calls are
   * refused; closing again does nothing.
   */
  close(): Promise<void> {
    return this.#queue.close()
  }

  /** {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  static #connectionOf(destination: TaskQueue): QueueConnection {
    if (!(destination instanceof TaskQueue)) throw argumentError('destination', 'a TaskQueue', destination)
    return destination.#queue
  }

  /** Lists another queue. Refuses before anything is inserted: the same queue (endless), and one without a listing. */
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
