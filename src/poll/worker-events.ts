/** Events of a worker, for loggers and metrics. */
import { EventEmitter } from 'node:events'
import { isPromiseLike, nameAndMessageOf, stackOf } from '../errors/thrown.js'
import type { LeasedTask } from '../queue/queued-task.js'

/** An event of one task. */
export interface TaskEvent {
  readonly task: LeasedTask
}

/** The events of a worker, with what each carries. Durations in seconds. */
export interface WorkerEventMap {
  /** The lease was taken. */
  leased: TaskEvent
  /** The task was handed to its thread. */
  started: TaskEvent
  /** `context().progress()`: `fraction` from 0 to 1. */
  progress: TaskEvent & { readonly fraction: number; readonly note: string | undefined }
  /** `context().log()`: one formatted line. Printed if there is no listener. */
  log: TaskEvent & { readonly line: string }
  /** The lease was extended. */
  renewed: TaskEvent & { readonly seconds: number }
  /** Run to its end; it is being removed from the queue. */
  deleting: TaskEvent
  /** Run to its end and removed from the queue. */
  deleted: TaskEvent & { readonly durationSeconds: number }
  /** The same, with its return value, if that can be cloned out of its thread. Without a listener it stays there. */
  succeeded: TaskEvent & { readonly value: unknown; readonly durationSeconds: number }
  /**
   * The attempt failed; the task may be leased again after `retryInSeconds` (`undefined`: it moves to the dead
   * letters).
   */
  failed: TaskEvent & {
    readonly error: unknown
    readonly durationSeconds: number
    readonly retryInSeconds: number | undefined
  }
  /** The lease ended before the task did: it was stopped, and its result is discarded. */
  lost: TaskEvent & { readonly error: unknown }
  /** Moved to the dead letters. */
  'dead-lettered': TaskEvent & { readonly reason: string; readonly deadLetter: string }
  /** Released; no attempt is counted. */
  released: TaskEvent
  /** No task was found; the worker tries again after `waitSeconds`. */
  idle: { readonly waitSeconds: number }
}

/** The events of a worker: `events.on('failed', ({ task, error }) => …)`. A listener that throws causes a warning only. */
export class WorkerEvents {
  readonly #emitter = new EventEmitter()
  /** No event has a listener: cheaper to ask than the emitter, several times for each of millions of tasks. */
  #isSilent = true

  /** Calls `listener` at each event of this name. */
  on<Name extends keyof WorkerEventMap>(name: Name, listener: (event: WorkerEventMap[Name]) => void): this {
    this.#emitter.on(name, listener)
    this.#isSilent = false
    return this
  }

  /** Removes `listener`. */
  off<Name extends keyof WorkerEventMap>(name: Name, listener: (event: WorkerEventMap[Name]) => void): this {
    this.#emitter.off(name, listener)
    this.#isSilent = this.#emitter.eventNames().length === 0
    return this
  }

  /** True if this event has a listener. */
  hasListeners(name: keyof WorkerEventMap): boolean {
    return !this.#isSilent && this.#emitter.listenerCount(name) > 0
  }

  /** @deprecated The former name of {@link hasListeners}. */
  hears(name: keyof WorkerEventMap): boolean {
    return this.hasListeners(name)
  }

  /** Calls the listeners. Never throws. */
  emit<Name extends keyof WorkerEventMap>(name: Name, event: WorkerEventMap[Name]): void {
    // `listeners` makes an array each time: too slow for a million tasks without a listener.
    if (!this.hasListeners(name)) return
    for (const listener of this.#emitter.listeners(name)) {
      try {
        const result: unknown = listener(event)
        if (isPromiseLike(result)) Promise.resolve(result).catch((error: unknown) => warn(name, error))
      } catch (error) {
        warn(name, error)
      }
    }
  }
}

function warn(name: string, error: unknown): void {
  const detail = stackOf(error)
  process.emitWarning(`A listener for the worker's event '${name}' threw: ${nameAndMessageOf(error)}`, { detail })
}
