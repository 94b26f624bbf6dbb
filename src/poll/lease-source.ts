/** Where a worker's run gets its tasks: leased as idle threads ask for them, and no more than they can begin at once. */

import type { Call } from '../threads/call.js'
import type { Source } from '../threads/run-options.js'

/** The most that one look at the queue asks for. */
const maxLease = 4096

/** What a {@link LeaseSource} needs of its worker. */
export interface LeaseSourceOwner {
  /** Leases up to `max` tasks and makes them ready to run. `undefined`: there is nothing to lease. */
  lease(max: number): Promise<Call[] | undefined>
  /** Nothing was found: waits; false if the worker should end instead. */
  idle(): Promise<boolean>
  /** How many tasks may be leased beside those that are held. */
  room(): number
  /** Whether a task that was made ready is still ours to run. */
  isHeld(call: Call): boolean
  /** Ends a wait of the two above. */
  stop(): void
  /** One of them threw: nothing more will come. */
  onFault(error: unknown): void
}

/** Tasks of one look that no thread has asked for yet. */
interface Batch {
  readonly calls: Call[]
  /** When they came, by `performance.now()`. */
  readonly sinceMs: number
}

export class LeaseSource implements Source<Call> {
  /** What goes wrong is told to the owner. */
  readonly error = undefined
  readonly #owner: LeaseSourceOwner
  readonly #batches: Batch[] = []
  /** How many tasks each lane asked for and did not get. A lane that asks again says the same thing anew. */
  readonly #wanted = new Map<number, number>()
  #looking: Promise<void> | undefined
  #stopped = false
  #waiters: (() => void)[] = []

  constructor(owner: LeaseSourceOwner) {
    this.#owner = owner
  }

  get ended(): boolean {
    return this.#stopped && this.#batches.length === 0
  }

  take(max: number, lane: number): Call[] {
    const taken: Call[] = []
    for (let batch = this.#batches[0]; batch !== undefined && taken.length < max; batch = this.#batches[0]) {
      const calls = batch.calls.splice(0, max - taken.length)
      taken.push(...calls.filter(call => this.#owner.isHeld(call)))
      if (batch.calls.length === 0) this.#batches.shift()
    }
    const ready = this.#batches.reduce((sum, { calls }) => sum + calls.length, 0)
    // Short tasks are leased a chunk ahead, so that threads never wait for the queue: a chunk lasts for 50 ms, so that is
    // little to give back when the worker stops. Longer ones are not: a task that waits here could run elsewhere.
    const ahead = max > 1 ? max : 0
    this.#wanted.set(lane, Math.max(0, max + ahead - taken.length - ready))
    if (this.#wantedTasks > 0 && !this.#stopped) this.#looking ??= this.#look()
    return taken
  }

  ready(): Promise<void> {
    if (this.#batches.length > 0 || this.#stopped) return Promise.resolve()
    return new Promise(resolve => this.#waiters.push(resolve))
  }

  /** Leases no more; resolves when a look that is under way has ended, and what it leased has been given back. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#owner.stop()
    this.#wake()
    await this.#looking
  }

  /** Takes back what was leased `olderThanMs` ago and no thread has asked for. */
  withdraw(olderThanMs: number): Call[] {
    const beforeMs = performance.now() - olderThanMs
    const old = this.#batches.findIndex(({ sinceMs }) => sinceMs > beforeMs)
    const batches = this.#batches.splice(0, old < 0 ? this.#batches.length : old)
    return batches.flatMap(({ calls }) => calls).filter(call => this.#owner.isHeld(call))
  }

  /** As many as threads ask for and there is room for: with none, a task that ends makes its thread ask again. */
  get #wantedTasks(): number {
    let tasks = 0
    for (const wanted of this.#wanted.values()) tasks += wanted
    return Math.min(tasks, this.#owner.room())
  }

  async #look(): Promise<void> {
    try {
      // In a later turn, so that all threads that are idle now are asked for in one go.
      for (await turn(); this.#wantedTasks > 0 && !this.#stopped; await turn()) {
        const calls = await this.#owner.lease(Math.min(this.#wantedTasks, maxLease))
        if (calls === undefined) {
          if (await this.#owner.idle()) continue
          this.#stopped = true
          break
        }
        // Whoever still wants some asks again when woken.
        this.#wanted.clear()
        if (calls.length > 0) this.#batches.push({ calls, sinceMs: performance.now() })
        this.#wake()
      }
    } catch (error) {
      this.#stopped = true
      this.#owner.onFault(error)
    } finally {
      this.#looking = undefined
      this.#wake()
    }
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }
}

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
