/** Crash reports of threads: the tasks that are to be run elsewhere, those that failed, and when a run gives up. */
import type { BusyThread } from './busy-thread.js'
import type { Call } from './call.js'
import type { Chunk } from './chunk.js'
import { brokenThreadError, crashError, crashingModuleError, failedStartUpsError } from './thread-errors.js'

/** A run gives up after this number of threads in a row crashed before any task began. */
const failedStartUpLimit = 3

/** The state of a thread's tasks after it crashed. */
export interface CrashReport {
  /** Not begun: to be run elsewhere. */
  readonly waiting: readonly Call[]
  /** Begun, and ended with the thread. */
  readonly lost: readonly { readonly chunk: Chunk; readonly index: number; readonly cause: unknown }[]
  /** The file that the thread was importing when it crashed, with the error of its tasks. */
  readonly notLoaded: { readonly url: string; readonly error: Error } | undefined
  /** Set when too many threads crashed without running anything. */
  readonly fatal: Error | undefined
}

export class CrashReports {
  readonly #maxMemoryMb: number | undefined
  /** Different crashes since a task ran; one may have hit several calls of the pool. */
  readonly #failedStartUps = new Set<unknown>()

  constructor(maxMemoryMb: number | undefined) {
    this.#maxMemoryMb = maxMemoryMb
  }

  /** Resets the count of failed start-ups: a thread ran a task. */
  reset(): void {
    this.#failedStartUps.clear()
  }

  /** Takes a crashed thread's tasks back; all that it had posted must have been received. */
  report(thread: BusyThread, cause: unknown): CrashReport {
    const [first] = thread.chunks.values()
    const waiting: Call[] = []
    const lost: { chunk: Chunk; index: number; cause: unknown }[] = []
    let hasBegun = false
    for (const chunk of thread.chunks.values()) {
      hasBegun ||= chunk.hasBegun
      // Withdrawn rather than read: a thread that is being stopped may still run for a moment.
      for (const call of chunk.withdraw(Number.POSITIVE_INFINITY)) waiting.push(call)
      for (const index of chunk.unfinished) {
        lost.push({ chunk, index, cause: thread.causeOfFailure(chunk, index, this.#error(thread, cause)) })
      }
    }
    const loading = lost.length > 0 || thread.hasEndingTask ? undefined : thread.loading
    if (hasBegun || loading !== undefined || waiting.length === 0) this.reset()
    else this.#failedStartUps.add(cause)
    const failures = this.#failedStartUps.size
    return {
      waiting,
      lost,
      notLoaded:
        loading === undefined
          ? undefined
          : { url: loading, error: crashingModuleError(loading, cause, this.#maxMemoryMb) },
      fatal:
        failures >= failedStartUpLimit
          ? failedStartUpsError(failures, first?.codeNames ?? '', thread.broken?.by ?? cause)
          : undefined,
    }
  }

  #error(thread: BusyThread, cause: unknown): Error {
    return thread.broken === undefined ? crashError(cause, this.#maxMemoryMb) : brokenThreadError(thread.broken.by)
  }
}
