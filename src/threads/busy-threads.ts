/** The busy threads of a run, and their chunks. */

import type { BusyThread } from './busy-thread.js'
import type { Call } from './call.js'
import type { Chunk } from './chunk.js'

export class BusyThreads implements Iterable<BusyThread> {
  readonly #threads = new Set<BusyThread>()
  readonly #byChunk = new Map<number, { readonly thread: BusyThread; readonly chunk: Chunk }>()

  get size(): number {
    return this.#threads.size
  }

  [Symbol.iterator](): Iterator<BusyThread> {
    return this.#threads.values()
  }

  /** Adds a thread with its first chunk. */
  add(thread: BusyThread): void {
    this.#threads.add(thread)
    for (const chunk of thread.chunks.values()) this.#byChunk.set(chunk.id, { thread, chunk })
  }

  /** Adds a further chunk. */
  addChunk(thread: BusyThread, chunk: Chunk): void {
    thread.chunks.set(chunk.id, chunk)
    this.#byChunk.set(chunk.id, { thread, chunk })
  }

  /** Removes a chunk that is done. */
  removeChunk(thread: BusyThread, chunk: Chunk): void {
    this.#byChunk.delete(chunk.id)
    thread.remove(chunk.id)
  }

  /** Removes a thread whose call has ended. Its chunks were removed before. */
  remove(thread: BusyThread): void {
    this.#threads.delete(thread)
  }

  /** The thread that was given this chunk first. */
  withFirstChunk(chunk: number): BusyThread | undefined {
    for (const thread of this.#threads) if (thread.firstChunk === chunk) return thread
    return undefined
  }

  /** The thread with this number. */
  withNumber(threadId: number): BusyThread | undefined {
    for (const thread of this.#threads) if (thread.threadId === threadId) return thread
    return undefined
  }

  /** A chunk that is not done, and its thread. */
  withChunk(chunk: number): { readonly thread: BusyThread; readonly chunk: Chunk } | undefined {
    return this.#byChunk.get(chunk)
  }

  /** The place of a call. */
  find(call: Call): { readonly thread: BusyThread; readonly chunk: Chunk; readonly index: number } | undefined {
    for (const { thread, chunk } of this.#byChunk.values()) {
      const index = chunk.indexOf(call)
      // Withdrawn: another chunk may have it now.
      if (index >= 0 && !chunk.isWithdrawn(index)) return { thread, chunk, index }
    }
    return undefined
  }

  /** The call at a place of a chunk that is not done. */
  call(chunk: number, index: number): Call | undefined {
    return this.#byChunk.get(chunk)?.chunk.calls[index]
  }

  /** True if some thread has tasks that it has not begun. */
  get hasWaiting(): boolean {
    for (const { chunk } of this.#byChunk.values()) if (chunk.waitingCount > 0) return true
    return false
  }

  /** Takes back half of the tasks that the fullest chunk has not begun, at most `max`; not from `thief` itself. */
  steal(max: number, thief: BusyThread | undefined): Call[] {
    let fullest: Chunk | undefined
    let most = 0
    for (const { thread, chunk } of this.#byChunk.values()) {
      const waiting = thread === thief ? 0 : chunk.waitingCount
      // A thread that has started none of its tasks is still starting: another would run them no sooner.
      if (waiting > most && chunk.hasBegun) {
        fullest = chunk
        most = waiting
      }
    }
    return fullest?.withdraw(Math.min(max, Math.ceil(most / 2))) ?? []
  }

  /**
   * Takes back all tasks that were handed out at `beforeMs` at the latest (by `performance.now()`) and have not begun.
   * @param leaveOne leave one task to a thread that has started none: one that takes long to start would never get to
   * run any
   */
  withdraw(beforeMs: number, leaveOne: boolean): Call[] {
    const withdrawn: Call[] = []
    for (const { chunk } of this.#byChunk.values()) {
      if (chunk.sinceMs > beforeMs) continue
      const kept = leaveOne && !chunk.hasBegun ? 1 : 0
      for (const call of chunk.withdraw(chunk.waitingCount - kept)) withdrawn.push(call)
    }
    return withdrawn
  }
}
