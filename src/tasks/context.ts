/** `context()`: the running task's id, signal, progress and log, in any thread. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { builtins } from '../runtime/builtins.js'

/** The context of a running task. */
export interface TaskContext {
  /** The task's id. */
  readonly id: string
  /** Which attempt this is, from 1. */
  readonly attempt: number
  /**
   * The context of its trace, in the form of W3C's header `traceparent`, for calls of other services; `undefined` where no SDK of
   * OpenTelemetry is registered.
   */
  readonly traceparent: string | undefined
  /** Aborted when the task should end early: its time is up, or its lease was lost. A thread that continues is stopped. */
  readonly signal: AbortSignal
  /**
   * Extends the lease to `seconds` from now. Workers renew by themselves while a task runs; a local run has no lease,
   * and there it does nothing.
   */
  renew(seconds: number): Promise<void>
  /**
   * Reports the progress of the task: `fraction` from 0 to 1, and a short note for people. At most one every 100 ms is sent;
   * the others are dropped, and the last one (`fraction` 1) never. Never throws: what is below 0 or no number is taken for
   * 0, what is above 1 for 1.
   */
  progress(fraction: number, note?: string): void
  /** Prints a line where the run or the worker was started, formatted as by `console.log`. Never throws. */
  log(...values: unknown[]): void
}

// On `globalThis` for the reason given in registry.ts: another copy of this module must see the same running task.
const storageKey = Symbol.for('ptq.context.1')
const holder = globalThis as { [storageKey]?: AsyncLocalStorage<TaskContext> }
holder[storageKey] ??= new AsyncLocalStorage()
const storage: AsyncLocalStorage<TaskContext> = holder[storageKey]

/**
 * The context of the task that is running, also in what it awaits.
 * @throws Error outside a task
 */
export function context(): TaskContext {
  const current = storage.getStore()
  if (current === undefined)
    throw new builtins.Error('Expected context() to be called while a task runs; no task is running here')
  // Doesn't use `this`, so that it can be destructured: `const { signal, progress } = context()`.
  return {
    id: current.id,
    attempt: current.attempt,
    get traceparent() {
      return current.traceparent
    },
    get signal() {
      return current.signal
    },
    renew: seconds => current.renew(seconds),
    progress: (fraction, note) => current.progress(fraction, note),
    log: (...values) => current.log(...values),
  }
}

/** The context of the running task, or `undefined` outside one. */
export function currentContext(): TaskContext | undefined {
  return storage.getStore()
}

/** Runs `call` as the task that `taskContext` belongs to. */
export function runInContext<R>(taskContext: TaskContext, call: () => R): R {
  return storage.run(taskContext, call)
}
