/** Reports the outcomes of a run's calls to its listener, each exactly once, from the messages of the threads. */

import type { BusyThread } from './busy-thread.js'
import type { BusyThreads } from './busy-threads.js'
import type { Call, FailedOutcome, Outcome } from './call.js'
import type { CallSupply } from './call-supply.js'
import type { Chunk } from './chunk.js'
import type { ChunkSize } from './chunk-size.js'
import type { CrashReports } from './crash-reports.js'
import { errorFromWire } from './error-wire.js'
import { FailedImports } from './failed-imports.js'
import type { ThreadPool } from './pool.js'
import type { RunListener, RunOptions } from './run-options.js'
import type { ThreadMessage } from './thread-messages.js'

/** A message about a chunk that is not done. */
export type ChunkThreadMessage = Extract<
  ThreadMessage,
  { readonly chunk: number; readonly type: Exclude<ThreadMessage['type'], 'ending'> }
>

/** The parts of a run that its outcomes concern. */
export interface OutcomeParts {
  readonly listener: RunListener
  readonly loadBackoff: RunOptions['loadBackoff']
  readonly threads: BusyThreads
  readonly pool: ThreadPool
  readonly size: ChunkSize
  readonly crashReports: CrashReports
  readonly supply: Pick<CallSupply<never>, 'putBack'>
}

export class ChunkOutcomes {
  readonly #parts: OutcomeParts
  readonly #failedImports: FailedImports

  constructor(parts: OutcomeParts) {
    this.#parts = parts
    this.#failedImports = new FailedImports(parts.loadBackoff)
  }

  /** Reports an outcome that is known without a message of a thread. */
  report(call: Call, outcome: Outcome): void {
    this.#parts.listener.onOutcome(call, outcome)
  }

  /** Returns the calls whose file may be tried now; the others are reported as not loaded. */
  loadable(calls: Call[]): Call[] {
    return this.#failedImports.withoutFailed(calls, (call, outcome) => this.report(call, outcome))
  }

  /** Reports the outcome of a call, unless one was reported before. */
  settle(chunk: Chunk, index: number, outcome: Outcome): void {
    const call = chunk.calls[index]
    if (call === undefined || !chunk.settle(index)) return
    const asked = chunk.abortedFor(index)
    this.#failedImports.loaded(call)
    // A task that was asked to end failed, even if it then ends without an error.
    this.report(call, asked === undefined ? outcome : failed(asked.reason, outcome.elapsedMs))
  }

  /** Handles a call that has not begun, because its file could not be loaded. */
  notLoaded(call: Call, error: unknown): void {
    const outcome = this.#failedImports.outcome(call, error)
    if (outcome === undefined) this.#parts.supply.putBack([call])
    else this.report(call, outcome)
  }

  /** Reports the calls of a chunk that succeeded without a message. */
  reportSilentSuccesses(chunk: Chunk): void {
    chunk.reportSilentSuccesses((call, outcome) => this.report(call, outcome))
  }

  /**
   * Reports tasks that have ended by their slots, and whose outcome, posted before, is not among the messages received
   * since: it was in one that can't be read.
   */
  settleUnreadable(thread: BusyThread): void {
    const unreported = [...thread.chunks.values()].map(chunk => ({ chunk, indexes: chunk.unreported }))
    this.#parts.pool.receiveAll()
    for (const { chunk, indexes } of unreported) {
      for (const index of indexes) this.settle(chunk, index, chunk.unreadableOutcome(index))
    }
  }

  /** Removes a chunk from its thread, after all successes of it were reported. */
  remove(thread: BusyThread, chunk: Chunk): void {
    this.reportSilentSuccesses(chunk)
    this.#parts.threads.removeChunk(thread, chunk)
  }

  /** Handles a thread's message about a chunk. */
  onMessage(message: ChunkThreadMessage, thread: BusyThread, chunk: Chunk): void {
    const { type } = message
    if (type === 'loading') thread.load(message.url)
    else if (type === 'progress') this.#onProgress(message, chunk)
    else if (type === 'log') {
      const call = chunk.calls[message.index]
      if (call !== undefined) this.#parts.listener.onLog(call, message.text)
    } else if (type === 'failed' && message.isNotLoaded) {
      thread.hasFailedImport = true
      const call = chunk.calls[message.index]
      if (call !== undefined && chunk.settle(message.index)) this.notLoaded(call, errorFromWire(message.error))
    } else if (type === 'failed')
      this.settle(chunk, message.index, failed(errorFromWire(message.error), message.elapsedMs))
    else if (type === 'succeeded')
      this.settle(chunk, message.index, { ok: true, value: message.value, elapsedMs: message.elapsedMs })
    else {
      if (message.ran > 0) this.#parts.crashReports.reset()
      this.#parts.size.learn(message)
      // Everything before `done` was received: an outcome that is missing was in a message that can't be read.
      for (const index of chunk.unreported) this.settle(chunk, index, chunk.unreadableOutcome(index))
      this.remove(thread, chunk)
    }
  }

  #onProgress({ index, fraction, note }: Extract<ThreadMessage, { type: 'progress' }>, chunk: Chunk): void {
    const call = chunk.calls[index]
    // A task that was asked to end may continue to report after its outcome.
    if (call !== undefined && !chunk.isSettled(index)) this.#parts.listener.onProgress(call, fraction, note)
  }
}

/** The outcome of a call that failed. @param elapsedMs default: not known */
export function failed(error: unknown, elapsedMs = Number.NaN): FailedOutcome {
  return { ok: false, error, elapsedMs }
}
