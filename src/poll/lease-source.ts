/** Where a worker's run gets its tasks: leased as idle threads ask for them, and no more than they can begin at once. */
import type { Call } from '../call.js'
import type { Source } from '../run-options.js'

/** The most that one look at the queue asks for. */
const maxLease = 4096

/** What a {@link LeaseSource} needs of its worker. */
export interface LeaseSourceOwner {
  /** Leases up to `max` tasks and makes them ready to run. `undefined`: there is nothing to lease. */
  lease(max: number): Promise<Call[] | undefined>
  /** Nothing was found: waits; false if the worker should end instead. */
  idle(): Promise<boolean>
}

export class LeaseSource implements Source<Call> {
  readonly #owner: LeaseSourceOwner
  #ready: Call[] = []
  /** When the oldest of them came, by `performance.now()`. */
  #readySinceMs = 0
  /** How many tasks each lane asked for and did not get. A lane that asks again says the same thing anew. */
  readonly #wanted = new Map<number, number>()
  #looking = false
  #stopped = false
  #error: { readonly thrown: unknown } | undefined
  #waiters: (() => void)[] = []

  constructor(owner: LeaseSourceOwner) {
    this.#owner = owner
  }

  get ended(): boolean {
    return this.#stopped && this.#ready.length === 0
  }

  get error(): { readonly thrown: unknown } | undefined {
    return this.#error
  }

  take(max: number, lane: number): Call[] {
    const taken = this.#ready.splice(0, max)
    // Tasks of a millisecond or less are leased a chunk ahead, so that threads never wait for the queue. Longer ones are
    // not: a task that waits here could run elsewhere.
    const ahead = max > 1 ? max : 0
    this.#wanted.set(lane, Math.max(0, max + ahead - taken.length - this.#ready.length))
    if (this.#wantedTasks > 0 && !this.#looking && !this.#stopped) {
      this.#looking = true
      void this.#look()
    }
    return taken
  }

  ready(): Promise<void> {
    if (this.#ready.length > 0 || this.#stopped) return Promise.resolve()
    return new Promise(resolve => this.#waiters.push(resolve))
  }

  stop(): Promise<void> {
    this.#stopped = true
    this.#wake()
    return Promise.resolve()
  }

  /** Takes back what was leased `olderThanMs` ago and no thread has asked for. */
  withdraw(olderThanMs: number): Call[] {
    if (performance.now() - this.#readySinceMs < olderThanMs) return []
    return this.#ready.splice(0)
  }

  get #wantedTasks(): number {
    let tasks = 0
    for (const wanted of this.#wanted.values()) tasks += wanted
    return tasks
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
        if (this.#ready.length === 0) this.#readySinceMs = performance.now()
        this.#ready.push(...calls)
        this.#wake()
      }
    } catch (thrown) {
      this.#error ??= { thrown }
      this.#stopped = true
    } finally {
      this.#looking = false
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
