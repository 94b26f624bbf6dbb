/** Runs tasks on this machine: on pool threads, or in the calling thread. */

import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkNames,
  checkParallel,
  checkPositive,
  checkSignal,
} from '../check-options.js'
import type { TaskError } from '../errors.js'
import type { RegisteredCode } from '../tasks/registry.js'
import type { BareTask, TaskInput, TaskResult } from '../tasks/task.js'
import { concatenated, iterableOf, lengthOf, type TaskIterable, totalLength } from '../tasks/task-source.js'
import { checkTask } from '../threads/call.js'
import { refuseEntryScript } from '../threads/entry-script.js'
import { Gate } from '../threads/gate.js'
import { refuseInThread, ThreadPool } from '../threads/pool.js'
import {
  abortError,
  type Hearing,
  type LocalRun,
  type LocalRunSettings,
  startLocalRun,
  type TaskProgress,
  taskError,
} from './local-run.js'
import { type Result, ResultBuffer } from './results.js'

/** Options of {@link LocalTaskQueue}. */
export interface LocalTaskQueueOptions {
  /** Threads. `true`: one for each core; 0: run in the calling thread. Default 1. */
  readonly parallel?: number | true
  /** Show a progress bar on stderr, if that is a terminal. Default true. */
  readonly progress?: boolean
  /**
   * Default true: the first failure stops the run (tasks that run finish) and rejects with its TaskError.
   * False: everything is run, then an AggregateError of TaskErrors rejects (the first 10,000 are kept).
   */
  readonly stopOnError?: boolean
  /** How many asynchronous tasks run at once in each thread. Default 1. */
  readonly concurrency?: number
  /** A task that runs longer fails; its `signal` is aborted, and its thread stopped if it goes on. Needs threads. Default: no limit. */
  readonly timeoutSeconds?: number
  /**
   * Memory of a thread, in MB of heap and of buffers: a task that swells past it fails alone. Buffers are looked at only
   * when the task lets the event loop turn. Needs threads. Default: Node's own heap limit.
   */
  readonly maxMemoryMb?: number
  /** Stops the run as Ctrl-C does: tasks that run finish, the rest isn't begun, and the call rejects with an AbortError. */
  readonly signal?: AbortSignal
  /** Hears `context().progress()`. Default: nobody does. */
  readonly onProgress?: (progress: TaskProgress) => void
  /** Hears `context().log()`, a formatted line. Default: it is printed on stderr. */
  readonly onLog?: (line: string, task: { readonly id: string; readonly task: unknown }) => void
}

/** Options of one run. */
export interface RunCallOptions {
  /** How many tasks there will be, for the progress bar. Default: `length` or `size` of the tasks, where there is one. */
  readonly total?: number | undefined
}

/** Options of {@link LocalTaskQueue.results}. */
export interface ResultsOptions extends RunCallOptions {
  /** In the order of the tasks rather than as they end. Default false. */
  readonly ordered?: boolean
}

const optionNames = [
  'parallel',
  'progress',
  'stopOnError',
  'concurrency',
  'timeoutSeconds',
  'maxMemoryMb',
  'signal',
  'onProgress',
  'onLog',
] as const

/** An AggregateError keeps this many errors: a million of them would be the memory that the run itself doesn't need. */
const keptErrors = 10_000

/** Independent tasks on all cores of this machine: `await new LocalTaskQueue({ parallel: 5 }).insertAll(tasks)`. */
export class LocalTaskQueue implements AsyncDisposable {
  readonly #settings: LocalRunSettings
  readonly #stopOnError: boolean
  #inserted: TaskIterable[] = []
  /** Runs that have not ended. */
  readonly #runs = new Map<LocalRun, Hearing>()
  #closing: Promise<void> | undefined

  /** @throws TypeError for an option that isn't what its documentation says, or that is unknown */
  constructor(options: LocalTaskQueueOptions = {}) {
    checkNames('options of LocalTaskQueue', options, optionNames)
    this.#stopOnError = checkBoolean('stopOnError', options.stopOnError, true)
    const parallel = checkParallel(options.parallel, 1)
    this.#settings = {
      parallel,
      gate: new Gate(Math.max(1, parallel)),
      progress: checkBoolean('progress', options.progress, true),
      concurrency: options.concurrency === undefined ? 1 : checkInteger('concurrency', options.concurrency, 1),
      timeoutSeconds: checkPositive('timeoutSeconds', options.timeoutSeconds),
      maxMemoryMb: checkPositive('maxMemoryMb', options.maxMemoryMb),
      signal: checkSignal('signal', options.signal),
      onProgress: checkFunction('onProgress', options.onProgress),
      onLog: checkFunction('onLog', options.onLog),
    }
    if (parallel === 0 && (options.timeoutSeconds ?? options.maxMemoryMb) !== undefined) {
      throw new TypeError(
        'Expected `parallel` of 1 or more with timeoutSeconds or maxMemoryMb: only a thread can be stopped',
      )
    }
  }

  /**
   * Runs tasks, pulling them as threads need them, and resolves with how many ran.
   *
   * @param tasks one task (a pair with extra arguments goes into an array), or any iterable or async iterable of tasks; memory stays flat for any length
   * @throws TaskError, AggregateError (see `stopOnError`); an AbortError after Ctrl-C or an abort of `signal`; what the
   * iterable itself throws; TypeError or UnregisteredTaskError for what is no task, before any task of an array has run
   */
  async insertAll(tasks: TaskIterable | BareTask, options: RunCallOptions = {}): Promise<number> {
    this.#refuseClosed()
    return this.#runAll(tasks, options)
  }

  async #runAll(tasks: TaskIterable | BareTask, options: RunCallOptions): Promise<number> {
    const errors: TaskError[] = []
    let succeeded = 0
    let failed = 0
    const run = this.#start(tasks, options, {
      postAll: false,
      onOutcome: (call, outcome, idPrefix) => {
        if (outcome.ok) {
          succeeded++
          return
        }
        failed++
        if (errors.length < keptErrors) errors.push(taskError(call, outcome.error, idPrefix))
        if (this.#stopOnError) run.stop()
      },
    })
    const stoppedBy = await run.finished
    const stopped = stoppedBy === undefined ? undefined : abortError(stoppedBy, succeeded + failed)
    const [first] = errors
    if (first !== undefined) {
      if (this.#stopOnError) throw first
      const kept = failed > errors.length ? `; the first ${errors.length} are in \`errors\`` : ''
      const message = `${failed} of ${failed + succeeded} tasks failed${kept}`
      throw new AggregateError(errors, message, stopped && { cause: stopped })
    }
    if (stopped !== undefined) throw stopped
    return succeeded
  }

  /** Notes tasks for {@link execute}; nothing is pulled from them before. An array is checked at once. */
  insert(tasks: TaskIterable | BareTask): void {
    this.#refuseClosed()
    const iterable = iterableOf(tasks)
    this.#check(iterable)
    this.#inserted.push(iterable)
  }

  /** Runs what was inserted, in order; resolves with how many ran. Rejects as {@link insertAll} does. */
  async execute(options: RunCallOptions = {}): Promise<number> {
    this.#refuseClosed()
    return this.#runInserted(options)
  }

  #runInserted(options: RunCallOptions): Promise<number> {
    const inserted = this.#inserted
    this.#inserted = []
    const [only] = inserted
    if (only !== undefined && inserted.length === 1) return this.#runAll(only, options)
    return this.#runAll(concatenated(inserted), { total: totalLength(inserted), ...options })
  }

  /**
   * Runs tasks and yields what each returned or threw, as they end or, with `ordered`, in their order. The tasks are
   * pulled only as fast as results are read. Leaving the loop early stops the run: tasks that run finish.
   *
   * Values come from threads by structured clone; a task whose value can't be cloned failed.
   */
  async *results<T extends TaskInput>(
    tasks: TaskIterable<T>,
    options: ResultsOptions = {},
  ): AsyncGenerator<Result<T>, void, undefined> {
    this.#refuseClosed()
    const buffer = new ResultBuffer<Result<T>>(checkBoolean('ordered', options.ordered, false))
    let ended = 0
    const run = this.#start(tasks, options, {
      postAll: true,
      mayPull: () => buffer.hasRoom,
      onOutcome: (call, outcome, idPrefix) => {
        ended++
        // The task is the very one that the iterable gave, so it has its type.
        const task = call.task as T
        buffer.put(
          call.idSuffix as number,
          outcome.ok
            ? { ok: true, task, value: outcome.value as TaskResult<T> }
            : { ok: false, task, error: taskError(call, outcome.error, idPrefix) },
        )
      },
    })
    run.finished.then(
      stoppedBy => buffer.end(stoppedBy === undefined ? undefined : abortError(stoppedBy, ended)),
      (thrown: unknown) => buffer.end(thrown),
    )
    try {
      for (let next = await buffer.next(); next !== undefined; next = await buffer.next()) {
        run.resume()
        yield next.result
      }
    } finally {
      run.stop()
      await run.ended
    }
  }

  /** Drops what was inserted and has not run. */
  purge(): void {
    this.#inserted = []
  }

  /**
   * Executes what is left, waits for the runs of {@link insertAll}, ends those of {@link results}, and stops the threads
   * that nobody else uses. Further calls give the same promise.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    try {
      if (this.#inserted.length > 0) await this.#runInserted({})
    } finally {
      // Results that nobody reads any more would hold their run up for ever.
      for (const [run, { postAll }] of this.#runs) if (postAll) run.stopFor('close')
      await Promise.all([...this.#runs.keys()].map(run => run.ended))
      await ThreadPool.stopUnused()
    }
  }

  /** As {@link close}: `await using lq = new LocalTaskQueue()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #start(given: TaskIterable | BareTask, options: ResultsOptions, hearing: Hearing): LocalRun {
    refuseInThread()
    checkNames('options of a run', options, hearing.postAll ? ['total', 'ordered'] : ['total'])
    if (options.total !== undefined) checkInteger('total', options.total, 0)
    const tasks = iterableOf(given)
    this.#check(tasks)
    const run = startLocalRun(tasks, options.total ?? lengthOf(tasks), this.#settings, hearing)
    this.#runs.set(run, hearing)
    void run.ended.then(() => this.#runs.delete(run))
    return run
  }

  #refuseClosed(): void {
    if (this.#closing === undefined) return
    throw new Error('Expected the LocalTaskQueue to be open, but close() was called; make a new one')
  }

  /** An array can be looked through before anything runs; what only an iterator knows is checked as it comes. */
  #check(tasks: TaskIterable): void {
    if (!Array.isArray(tasks)) return
    const codes = new Set<RegisteredCode>()
    // Not `map`, which passes over holes.
    for (const task of tasks) codes.add(checkTask(task))
    if (this.#settings.parallel > 0) for (const code of codes) refuseEntryScript(code)
  }
}
