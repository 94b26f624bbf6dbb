/** Checks the threads of a run at intervals: ends what takes too long, reports successes that were not posted. */

import { monotonicMs } from '../time/monotonic.js'
import type { BusyThread } from './busy-thread.js'
import type { BusyThreads } from './busy-threads.js'
import type { Chunk } from './chunk.js'
import type { ChunkOutcomes } from './chunk-outcomes.js'
import { errorToWire } from './error-wire.js'
import type { ThreadPool } from './pool.js'
import { timeoutError } from './thread-errors.js'

/** The interval is a tenth of `timeoutMs` within these bounds: no busy loop, and a progress bar that moves. Milliseconds. */
const minIntervalMs = 5
const maxIntervalMs = 50

export class Watchdog {
  readonly #threads: BusyThreads
  readonly #outcomes: ChunkOutcomes
  readonly #pool: ThreadPool
  readonly #timeoutMs: number
  #timer: NodeJS.Timeout | undefined

  /** @param timeoutMs tasks that run longer are aborted */
  constructor(threads: BusyThreads, outcomes: ChunkOutcomes, pool: ThreadPool, timeoutMs = Number.POSITIVE_INFINITY) {
    this.#threads = threads
    this.#outcomes = outcomes
    this.#pool = pool
    this.#timeoutMs = timeoutMs
  }

  /** Checks as long as there are busy threads. */
  start(): void {
    if (this.#timer !== undefined) return
    const intervalMs = Math.min(maxIntervalMs, Math.max(minIntervalMs, this.#timeoutMs / 10))
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#check(monotonicMs())
      if (this.#threads.size > 0) this.start()
    }, intervalMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Asks a task to end, by its signal. If it does not, its thread is stopped later. */
  abort(thread: BusyThread, chunk: Chunk, index: number, reason: Error): void {
    if (chunk.abort(index, reason, monotonicMs()) && thread.threadId !== undefined) {
      this.#pool.send(thread.threadId, { type: 'abort', chunk: chunk.id, index, reason: errorToWire(reason) })
    }
  }

  #check(nowMs: number): void {
    for (const thread of this.#threads) {
      for (const chunk of thread.chunks.values()) this.#outcomes.reportSilentSuccesses(chunk)
      if (thread.hasUnreadable) this.#outcomes.settleUnreadable(thread)
      for (const { chunk, index } of thread.overdue(this.#timeoutMs, nowMs)) {
        this.abort(thread, chunk, index, timeoutError(this.#timeoutMs))
      }
      if (thread.isStuck(this.#timeoutMs, nowMs)) thread.kill(timeoutError(this.#timeoutMs))
    }
  }
}
