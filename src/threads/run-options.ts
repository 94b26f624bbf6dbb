/** Options and callbacks of a run of calls, on pool threads or inline. */

import type { TaskInput } from '../tasks/task.js'
import type { CallTracing } from '../tracing/call-tracing.js'
import type { Call, Outcome } from './call.js'

/** Callbacks of a run. */
export interface RunListener {
  /** A task is handed to its thread, or begins in the calling thread. Once, also if it was taken back before it began. */
  onStart?(call: Call): void
  /** A task ended. Called once for each task that began, in the order in which they end. */
  onOutcome(call: Call, outcome: Outcome): void
  /** `context().progress()`. */
  onProgress(call: Call, fraction: number, note: string | undefined): void
  /** `context().log()`: one formatted line. */
  onLog(call: Call, text: string): void
  /** `context().renew()`. */
  onRenew(call: Call, seconds: number): Promise<void>
  /** Called for an error that belongs to no running task. */
  onUnhandledError(taskId: string | undefined, error: unknown): void
}

/** The source of a run's tasks, pulled only as they are needed. */
export interface Source<T> {
  /** True if no further task will come. */
  readonly ended: boolean
  /** The error that the source itself threw; it has ended then. */
  readonly error: { readonly thrown: unknown } | undefined
  /**
   * Up to `max` that are there now. Empty: wait with {@link ready}, or the source has ended.
   * @param loop the number of the asking loop; one that found other work asks for 0
   */
  take(max: number, loop: number): T[]
  /** Finds out whether it has ended, pulling one task ahead at most. */
  peek?(): void
  /** Resolves when {@link take} may give something, or the source has ended. */
  ready(): Promise<void>
  /** Pulls no more. */
  stop(): Promise<void>
}

/** Settings of a run. */
export interface RunOptions<T = TaskInput> {
  readonly source: Source<T>
  /** Makes a task of the source ready; what it throws ends the run. */
  readonly toCall: (given: T) => Call
  readonly listener: RunListener
  readonly idPrefix: string
  /** Asynchronous tasks at once, per thread. */
  readonly concurrency: number
  /** Report each task's outcome and value as it ends; otherwise successes may come late and without value. */
  readonly postAll: boolean
  /**
   * Called with each chunk, where `postAll`: true if the values of its tasks are wanted. One that can't be cloned is left
   * out then. Default: all values are wanted, and a task whose value can't be cloned fails.
   */
  readonly wantsValues?: () => boolean
  /**
   * Back-off before the next thread tries a file that could not be loaded; doubled after each failure.
   * Until then its tasks are reported as `notLoaded`. Default: one new thread tries at once, then the tasks of that file fail.
   */
  readonly loadBackoff?: { readonly minSeconds: number; readonly maxSeconds: number }
  /** Tasks that a thread takes at once, at most. Default: as many as last about 50 milliseconds. */
  readonly maxChunk?: number
  /** Move the buffers among extra arguments to the thread instead of copying them; chunks are of one task then. */
  readonly moveInputs?: boolean
  /** The trace contexts of the calls. Default: none are made */
  readonly tracing?: CallTracing<Call> | undefined
  /** True if tasks may be pulled now; after false, {@link Run.resume} follows. False while results wait to be read. */
  readonly mayPull?: () => boolean
}

/** A call that runs now. */
export interface RunningCall {
  readonly call: Call
  /** Time of its start, or of its hand-over to the thread with other short tasks. Milliseconds since 1970. */
  readonly startedAtMs: number
}

/** A run in progress. */
export interface Run {
  /** Resolves when every task that began has ended; rejects with what the source threw, or if threads can't start. */
  readonly done: Promise<void>
  /** Takes no more tasks; those that run finish. Returns those that were taken and will not begin. */
  stop(): Call[]
  /** `mayPull` is true again. */
  resume(): void
  /**
   * Takes back tasks that were handed out `olderThanMs` ago and have not begun: others may run them sooner. With a time
   * above 0, a thread that is still starting keeps the first one.
   */
  withdraw(olderThanMs: number): Call[]
  /** Up to `max` of the calls that run now. */
  running(max: number): RunningCall[]
  /**
   * Ends a call. A running one is aborted by its `signal`, and if it continues its thread is stopped; its outcome will
   * be `reason`, and this is true. One that has not started never will, and has no outcome: false.
   */
  abort(call: Call, reason: Error): boolean
}
