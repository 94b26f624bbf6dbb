/** Options of a LocalTaskQueue and of its calls. */
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkNames,
  checkParallel,
  checkPositive,
  checkSignal,
} from '../errors/check-options.js'
import { Semaphore } from '../threads/semaphore.js'
import type { LocalRunSettings, TaskProgress } from './local-run.js'

/** Options of a LocalTaskQueue. */
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
  /** Number of asynchronous tasks that run at once in each thread. Default 1. */
  readonly concurrency?: number
  /** A task that runs longer fails; its `signal` is aborted, and its thread stopped if it continues. Needs threads. Default: no limit. */
  readonly timeoutSeconds?: number
  /**
   * Memory of a thread, in MB of heap and of buffers: a task that exceeds it fails alone. Buffers are checked only when
   * the task lets the event loop turn. One large allocation (a growing Map or Set) may end the whole process instead:
   * see docs/tasks.md. It applies in addition to `--max-old-space-size`. Needs threads. Default: the main thread's heap
   * limit.
   */
  readonly maxMemoryMb?: number
  /**
   * Stops the run like Ctrl-C: running tasks finish, the rest isn't started, and the call rejects with an AbortError.
   */
  readonly signal?: AbortSignal
  /** Called for `context().progress()`. Default: it is dropped. */
  readonly onProgress?: (progress: TaskProgress) => void
  /** Called for `context().log()` with a formatted line. Default: it is printed on stderr. */
  readonly onLog?: (line: string, task: { readonly id: string; readonly task: unknown }) => void
}

/** Options of one run. */
export interface RunCallOptions {
  /** The number of tasks, for the progress bar. Default: `length` or `size` of the tasks, if there is one. */
  readonly total?: number | undefined
}

/** Options of `LocalTaskQueue.results`. */
export interface ResultsOptions extends RunCallOptions {
  /** Yields results in the order of the tasks rather than as they end. Default false. */
  readonly ordered?: boolean
}

const names = [
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

/** Options of `LocalTaskQueue.run`. */
export interface RunOneOptions {
  /**
   * Ends this call: a running task is aborted by its own `signal`, then stopped. The call rejects with the signal's
   * reason.
   */
  readonly signal?: AbortSignal | undefined
  /** As of the queue, for this call. Default: the queue's. */
  readonly timeoutSeconds?: number | undefined
  /**
   * Moves the buffers among the extra arguments (of `map`: the inputs) to the thread instead of copying them: they are
   * empty here afterwards. Saves time from about a megabyte on. Default false. See `move()` for return values.
   */
  readonly transfer?: boolean | undefined
}

/** Options of `LocalTaskQueue.map`. */
export interface MapOptions extends RunOneOptions, RunCallOptions {
  /** As of the queue, for this call: false runs everything, then rejects with an AggregateError. Default: the queue's. */
  readonly stopOnError?: boolean | undefined
}

const callNames = ['signal', 'timeoutSeconds', 'transfer'] as const

/** @throws TypeError for an unknown option, or a value that its documentation doesn't allow */
export function localSettings(options: LocalTaskQueueOptions): LocalRunSettings & { readonly stopOnError: boolean } {
  checkNames('options of LocalTaskQueue', options, names)
  const parallel = checkParallel(options.parallel, 1)
  const settings = {
    stopOnError: checkBoolean('stopOnError', options.stopOnError, true),
    parallel,
    semaphore: new Semaphore(Math.max(1, parallel)),
    progress: checkBoolean('progress', options.progress, true),
    concurrency: options.concurrency === undefined ? 1 : checkInteger('concurrency', options.concurrency, 1),
    timeoutSeconds: checkPositive('timeoutSeconds', options.timeoutSeconds),
    maxMemoryMb: checkPositive('maxMemoryMb', options.maxMemoryMb),
    signal: checkSignal('signal', options.signal),
    onProgress: checkFunction('onProgress', options.onProgress),
    onLog: checkFunction('onLog', options.onLog),
  }
  refuseWithoutThread(parallel, options.timeoutSeconds ?? options.maxMemoryMb)
  return settings
}

/** Options of a call, checked. */
export interface CallSettings {
  readonly signal: AbortSignal | undefined
  readonly timeoutSeconds: number | undefined
  readonly transfer: boolean
}

/** @throws TypeError as {@link localSettings} */
export function callSettings(options: RunOneOptions, queue: LocalRunSettings, others: readonly string[]): CallSettings {
  checkNames('options of the call', options, [...callNames, ...others])
  const timeoutSeconds = checkPositive('timeoutSeconds', options.timeoutSeconds)
  refuseWithoutThread(queue.parallel, timeoutSeconds)
  return {
    signal: checkSignal('signal', options.signal),
    timeoutSeconds: timeoutSeconds ?? queue.timeoutSeconds,
    transfer: checkBoolean('transfer', options.transfer, false),
  }
}

function refuseWithoutThread(parallel: number, limit: number | undefined): void {
  if (parallel > 0 || limit === undefined) return
  throw new TypeError(
    'Expected `parallel` of 1 or more with timeoutSeconds or maxMemoryMb: only a thread can be stopped',
  )
}
