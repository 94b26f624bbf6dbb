/** What a run of calls is told, and what it tells: the same for pool threads and for the calling thread. */
import type { Call, Outcome } from './call.js'
import type { TaskInput } from './task.js'
import type { TaskSource } from './task-source.js'

/** Hears from the tasks of a run. */
export interface RunListener {
  /** A task ended. Called once for each task that began, in the order in which they end. */
  onOutcome(call: Call, outcome: Outcome): void
  /** `context().progress()`. */
  onProgress(call: Call, fraction: number, note: string | undefined): void
  /** `context().log()`: one formatted line. */
  onLog(call: Call, text: string): void
  /** `context().renew()`. */
  onRenew(call: Call, seconds: number): Promise<void>
  /** Something was thrown that no running task can be blamed for. */
  onStray(taskId: string | undefined, error: unknown): void
}

/** Settings of a run. */
export interface RunOptions {
  readonly source: TaskSource
  /** Makes a task of the source ready; what it throws ends the run. */
  readonly toCall: (given: TaskInput) => Call
  readonly listener: RunListener
  readonly idPrefix: string
  /** Asynchronous tasks at once, per thread. */
  readonly concurrency: number
  /** Report each task's outcome and value as it ends; otherwise successes may come late and without value. */
  readonly postAll: boolean
  /** Whether tasks may be pulled now; after a no, {@link Run.resume} says when. Holds back while results wait to be read. */
  readonly mayPull?: () => boolean
}

/** A run in progress. */
export interface Run {
  /** Resolves when every task that began has ended; rejects with what the source threw, or if threads can't be had. */
  readonly done: Promise<void>
  /** Takes no more tasks; those that run finish. */
  stop(): void
  /** `mayPull` is true again. */
  resume(): void
}
