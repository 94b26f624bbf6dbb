/** Runs tasks on this machine: on pool threads, or in the calling thread. */

import { type CallSite, callSiteOf } from '../errors/call-site.js'
import { checkBoolean, checkInteger, checkNames } from '../errors/check-options.js'
import { argumentError } from '../errors/errors.js'
import { toError } from '../errors/thrown.js'
import type { RegisteredCode } from '../tasks/registry.js'
import type { BareTask, FunctionTask, TaskInput, TaskResult } from '../tasks/task.js'
import { concatenated, iterableOf, lengthOf, type TaskIterable, TaskSource, totalLength } from '../tasks/task-source.js'
import { checkTask, toCall } from '../threads/call.js'
import { refuseEntryScript } from '../threads/entry-script.js'
import { refuseInThread, ThreadPool } from '../threads/pool.js'
import { onAbort } from '../time/on-abort.js'
import { CallStream } from './call-stream.js'
import {
  type CallSettings,
  callSettings,
  type LocalTaskQueueOptions,
  localSettings,
  type MapOptions,
  type ResultsOptions,
  type RunCallOptions,
  type RunOneOptions,
} from './local-options.js'
import {
  abortError,
  type LocalRun,
  type LocalRunSettings,
  type LocalWork,
  type RunCallbacks,
  startLocalRun,
  taskError,
} from './local-run.js'
import { mapInputs } from './map-inputs.js'
import { type Result, ResultBuffer } from './result-buffer.js'
import { RunFailures } from './run-failures.js'

const noOptions: RunOneOptions = Object.freeze({})

/** Independent tasks on all cores of this machine: `await new LocalTaskQueue({ parallel: 5 }).insertAll(tasks)`. */
export class LocalTaskQueue implements AsyncDisposable {
  readonly #settings: LocalRunSettings
  readonly #stopOnError: boolean
  #inserted: TaskIterable[] = []
  /** Runs that have not ended. */
  readonly #runs = new Map<LocalRun, RunCallbacks>()
  /** Settings of a single call without options of its own. */
  readonly #callSettings: CallSettings
  /** Streams of single calls, by the options that apply to a run as a whole. */
  readonly #streams = new Map<string, CallStream>()
  #closing: Promise<void> | undefined

  /** @throws TypeError for an unknown option, or a value that its documentation doesn't allow */
  constructor(options: LocalTaskQueueOptions = {}) {
    const { stopOnError, ...settings } = localSettings(options)
    this.#stopOnError = stopOnError
    this.#settings = settings
    this.#callSettings = callSettings(noOptions, settings, [])
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
    return this.#runAll(tasks, options, callSiteOf(this.insertAll))
  }

  async #runAll(tasks: TaskIterable | BareTask, options: RunCallOptions, caller: CallSite): Promise<number> {
    const failures = new RunFailures(this.#stopOnError, caller)
    let succeeded = 0
    const run = this.#start(tasks, options, {
      postAll: false,
      endsOnClose: false,
      onOutcome: (call, outcome, idPrefix) => {
        if (outcome.ok) succeeded++
        else if (failures.add(call, outcome.error, idPrefix)) run.stop()
      },
    })
    failures.throwIfAny(await run.finished, succeeded)
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
    return this.#runInserted(options, callSiteOf(this.execute))
  }

  #runInserted(options: RunCallOptions, caller: CallSite): Promise<number> {
    const inserted = this.#inserted
    this.#inserted = []
    const [only] = inserted
    if (only !== undefined && inserted.length === 1) return this.#runAll(only, options, caller)
    return this.#runAll(concatenated(inserted), { total: totalLength(inserted), ...options }, caller)
  }

  /**
   * Runs tasks and yields what each returned or threw, as they end or, with `ordered`, in their order. The tasks are
   * pulled only as fast as results are read. Leaving the loop early stops the run: tasks that run finish.
   *
   * Values come from threads by structured clone; a task whose value can't be cloned failed.
   */
  results<T extends TaskInput>(
    tasks: TaskIterable<T>,
    options: ResultsOptions = {},
  ): AsyncGenerator<Result<T>, void, undefined> {
    return this.#results(tasks, options, callSiteOf(this.results))
  }

  async *#results<T extends TaskInput>(
    tasks: TaskIterable<T>,
    options: ResultsOptions,
    caller: CallSite,
  ): AsyncGenerator<Result<T>, void, undefined> {
    this.#refuseClosed()
    const buffer = new ResultBuffer<Result<T>>(checkBoolean('ordered', options.ordered, false))
    let ended = 0
    const run = this.#start(tasks, options, {
      postAll: true,
      endsOnClose: true,
      mayPull: () => buffer.hasRoom,
      onOutcome: (call, outcome, idPrefix) => {
        ended++
        // The task is the object from the iterable, so it has its type.
        const task = call.task as T
        buffer.put(
          call.idSuffix as number,
          outcome.ok
            ? { ok: true, task, value: outcome.value as TaskResult<T> }
            : { ok: false, task, error: taskError(call, outcome.error, idPrefix, caller) },
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

  /**
   * Runs one task and resolves with its value. Many at once share the threads and are sent in chunks, as the tasks of one
   * run are: `await Promise.all(tasks.map(task => lq.run(task)))`. They show no progress bar.
   *
   * @throws TaskError; the reason of `options.signal`; an AbortError as {@link insertAll}; TypeError or
   * UnregisteredTaskError for what is no task
   */
  async run<T extends TaskInput>(task: T, options: RunOneOptions = noOptions): Promise<TaskResult<T>> {
    this.#refuseClosed()
    refuseInThread()
    const { signal, timeoutSeconds, transfer } =
      options === noOptions ? this.#callSettings : callSettings(options, this.#settings, [])
    const stream = this.#stream(timeoutSeconds, transfer)
    const call = toCall(task, stream.nextOrdinal(), 1)
    if (this.#settings.parallel > 0) refuseEntryScript(call.code)
    if (signal?.aborted === true) throw signal.reason
    const end = await stream.add(call, signal)
    if (end.ok) return end.value as TaskResult<T>
    // The async stack contains where the call is awaited: capturing each call's place at the call took a third of its
    // time.
    throw taskError(call, end.error, end.idPrefix, callSiteOf(this.run))
  }

  /** The stream that runs single calls with these options together. */
  #stream(timeoutSeconds: number | undefined, transfer: boolean): CallStream {
    const key = `${timeoutSeconds} ${transfer}`
    let stream = this.#streams.get(key)
    if (stream === undefined || stream.isOver) {
      const settings = { ...this.#settings, timeoutSeconds, progress: false }
      stream = new CallStream((work, callbacks) =>
        this.#track(startLocalRun({ ...work, moveInputs: transfer }, settings, callbacks), callbacks),
      )
      this.#streams.set(key, stream)
    }
    return stream
  }

  /**
   * Calls a registered function with each input and resolves with its results, in the order of the inputs: `const
   * hashes = await lq.map(hash, paths)`. Inputs are pulled as threads need them. They are cloned to the thread, not
   * turned into JSON, so they may be a Date, a Map or a typed array; at `parallel: 0` they are passed uncloned.
   *
   * @param fn a function that `queueable` registered, or `partial` of one, with one argument to come
   * @throws the first TaskError, or an AggregateError (see `stopOnError`); the reason of `options.signal`; what `inputs`
   * throw; otherwise as {@link insertAll}
   */
  async map<A, R>(
    fn: ((input: A) => R) | FunctionTask<[A], R>,
    inputs: Iterable<NoInfer<A>> | AsyncIterable<NoInfer<A>>,
    options: MapOptions = {},
  ): Promise<Awaited<R>[]> {
    this.#refuseClosed()
    refuseInThread()
    const { signal, timeoutSeconds, transfer } = callSettings(options, this.#settings, ['total', 'stopOnError'])
    if (options.total !== undefined) checkInteger('total', options.total, 0)
    const failures = new RunFailures(
      checkBoolean('stopOnError', options.stopOnError, this.#stopOnError),
      callSiteOf(this.map),
    )
    const { code, toCall: callWith } = mapInputs(fn)
    if (this.#settings.parallel > 0) refuseEntryScript(code)
    if (
      typeof inputs !== 'object' ||
      inputs === null ||
      !(Symbol.iterator in inputs || Symbol.asyncIterator in inputs)
    ) {
      throw argumentError('inputs', 'an iterable or async iterable', inputs)
    }
    if (signal?.aborted === true) throw signal.reason
    const work = {
      source: new TaskSource<unknown>(inputs),
      toCall: callWith,
      total: options.total ?? lengthOf(inputs),
      moveInputs: transfer,
    }
    const values: Awaited<R>[] = []
    let succeeded = 0
    const callbacks: RunCallbacks = {
      postAll: true,
      endsOnClose: false,
      onOutcome: (call, outcome, idPrefix) => {
        if (outcome.ok) {
          values[call.idSuffix as number] = outcome.value as Awaited<R>
          succeeded++
        } else if (failures.add(call, outcome.error, idPrefix)) run.stop()
      },
    }
    const run = this.#track(startLocalRun(work, { ...this.#settings, timeoutSeconds }, callbacks), callbacks)
    let aborted: { readonly reason: unknown } | undefined
    const stopListening = onAbort(signal, () => {
      aborted = { reason: signal?.reason }
      run.abortAll(toError(signal?.reason))
    })
    const stoppedBy = await run.finished.finally(stopListening)
    if (aborted !== undefined) throw (aborted as { readonly reason: unknown }).reason
    failures.throwIfAny(stoppedBy, succeeded)
    return values
  }

  /** Drops what was inserted and has not run. */
  purge(): void {
    this.#inserted = []
  }

  /**
   * Executes what is left, waits for the runs of {@link insertAll}, {@link run} and {@link map}, ends those of {@link
   * results}, and stops the threads that are not used elsewhere. Further calls return the same promise.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    try {
      if (this.#inserted.length > 0) await this.#runInserted({}, callSiteOf(this.close))
    } finally {
      // Results that are no longer read would keep their run from ending.
      for (const [run, { endsOnClose }] of this.#runs) if (endsOnClose) run.stopFor('close')
      await Promise.all([...this.#runs.keys()].map(run => run.ended))
      await ThreadPool.stopUnused()
    }
  }

  /** As {@link close}: `await using lq = new LocalTaskQueue()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #start(given: TaskIterable | BareTask, options: ResultsOptions, callbacks: RunCallbacks): LocalRun {
    refuseInThread()
    checkNames('options of a run', options, callbacks.endsOnClose ? ['total', 'ordered'] : ['total'])
    if (options.total !== undefined) checkInteger('total', options.total, 0)
    const tasks = iterableOf(given)
    this.#check(tasks)
    const work: LocalWork<TaskInput> = {
      source: new TaskSource(tasks),
      toCall: (task, ordinal) => toCall(task, ordinal, 1),
      total: options.total ?? lengthOf(tasks),
    }
    return this.#track(startLocalRun(work, this.#settings, callbacks), callbacks)
  }

  /** Notes a run until it ends. */
  #track(run: LocalRun, callbacks: RunCallbacks): LocalRun {
    this.#runs.set(run, callbacks)
    void run.ended.then(() => this.#runs.delete(run))
    return run
  }

  #refuseClosed(): void {
    if (this.#closing === undefined) return
    throw new Error('Expected the LocalTaskQueue to be open, but close() was called; make a new one')
  }

  /** Checks an array before anything runs; tasks of an iterator are checked as they come. */
  #check(tasks: TaskIterable): void {
    if (!Array.isArray(tasks)) return
    const codes = new Set<RegisteredCode>()
    // Not `map`, which passes over holes.
    for (const task of tasks) codes.add(checkTask(task))
    if (this.#settings.parallel > 0) for (const code of codes) refuseEntryScript(code)
  }
}
