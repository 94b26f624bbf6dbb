/** Buffers leased tasks for the threads: leases what idle threads ask for, and no more than they can start at once. */

import type { Call } from '../threads/call.js'
import type { Source } from '../threads/run-options.js'
import type { Fetcher } from './fetcher.js'

/** Most tasks in one lease request. */
const maxLease = 4096

/** Tasks of one lease request that no thread has taken yet. */
interface Batch {
  readonly calls: readonly Call[]
  /** The place of the first that no thread has taken. */
  next: number
  /** Time of the lease, by `performance.now()`. */
  readonly sinceMs: number
}

export class LeaseBuffer implements Source<Call> {
  /** Errors go to the fetcher. */
  readonly error = undefined
  readonly #fetcher: Fetcher
  readonly #batches: Batch[] = []
  /** Number of tasks that each loop of the run asked for and did not get; replaced when it asks again. */
  readonly #wanted = new Map<number, number>()
  #fetching: Promise<void> | undefined
  #stopped = false
  #waiters: (() => void)[] = []

  constructor(fetcher: Fetcher) {
    this.#fetcher = fetcher
  }

  get ended(): boolean {
    return this.#stopped && this.#batches.length === 0
  }

  /** See `Source.take`. @param loop the number of the asking loop */
  take(max: number, loop: number): Call[] {
    const taken: Call[] = []
    for (let batch = this.#batches[0]; batch !== undefined && taken.length < max; batch = this.#batches[0]) {
      const end = Math.min(batch.calls.length, batch.next + max - taken.length)
      while (batch.next < end) {
        const call = batch.calls[batch.next++]
        if (call !== undefined && this.#fetcher.isHeld(call)) taken.push(call)
      }
      if (batch.next === batch.calls.length) this.#batches.shift()
    }
    const ready = this.#batches.reduce((sum, { calls, next }) => sum + calls.length - next, 0)
    // Short tasks (chunks of more than one) are leased a chunk ahead, so that threads never wait for the queue: a chunk lasts for
    // 50 ms, so that is little to release when the worker stops. Longer ones are not: a task that waits here could run elsewhere.
    const ahead = max > 1 ? max : 0
    this.#wanted.set(loop, Math.max(0, max + ahead - taken.length - ready))
    if (this.#wantedTasks > 0 && !this.#stopped) this.#fetching ??= this.#fetchWanted()
    return taken
  }

  ready(): Promise<void> {
    if (this.#batches.length > 0 || this.#stopped) return Promise.resolve()
    return new Promise(resolve => this.#waiters.push(resolve))
  }

  /** Stops leasing; resolves when a pending lease request has ended and its tasks are released. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#fetcher.stop()
    this.#notifyWaiters()
    await this.#fetching
  }

  /** Removes the tasks that were leased `olderThanMs` ago and that no thread has taken. */
  withdraw(olderThanMs: number): Call[] {
    const beforeMs = performance.now() - olderThanMs
    const old = this.#batches.findIndex(({ sinceMs }) => sinceMs > beforeMs)
    const batches = this.#batches.splice(0, old < 0 ? this.#batches.length : old)
    return batches.flatMap(({ calls, next }) => calls.slice(next)).filter(call => this.#fetcher.isHeld(call))
  }

  /** Number of tasks to lease: what threads ask for, within the room. With no room, a thread asks again when a task ends. */
  get #wantedTasks(): number {
    let tasks = 0
    for (const wanted of this.#wanted.values()) tasks += wanted
    return Math.min(tasks, this.#fetcher.room())
  }

  async #fetchWanted(): Promise<void> {
    try {
      // In a later turn, so that one request serves all threads that are idle now.
      for (await nextTurn(); this.#wantedTasks > 0 && !this.#stopped; await nextTurn()) {
        const calls = await this.#fetcher.lease(Math.min(this.#wantedTasks, maxLease))
        if (calls === undefined) {
          if (await this.#fetcher.idle()) continue
          this.#stopped = true
          break
        }
        // Threads that still need tasks ask again when notified.
        this.#wanted.clear()
        if (calls.length > 0) this.#batches.push({ calls, next: 0, sinceMs: performance.now() })
        this.#notifyWaiters()
      }
    } catch (error) {
      this.#stopped = true
      this.#fetcher.onFault(error)
    } finally {
      this.#fetching = undefined
      this.#notifyWaiters()
    }
  }

  #notifyWaiters(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }
}

function nextTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
