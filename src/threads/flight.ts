/** A flight, seen from the main thread: one call of the pool, with the chunks that its thread has not finished. */

import { monotonicMs } from '../time/monotonic.js'
import type { Call } from './call.js'
import type { Chunk } from './chunk.js'

/** How long a task that was asked to end by its `signal` may take to do so before its thread is stopped. Milliseconds. */
const abortGraceMs = 250

/** A file may take `timeoutSeconds` to load, but at least this long: that limit is meant for tasks. Milliseconds. */
const leastLoadMs = 30_000

/** A task that said it is about to end its thread, and why. */
interface Ending {
  readonly chunk: number
  readonly index: number
  readonly error: unknown
}

/** What is left of a flight whose thread died. */
export interface Wreck {
  /** Never begun: to be run elsewhere. */
  readonly waiting: Call[]
  /** Begun, and ended with the thread. */
  readonly lost: { readonly chunk: Chunk; readonly index: number; readonly cause: unknown }[]
  /** Whether the thread had begun a task of these chunks. */
  readonly begun: boolean
  /** The file that the thread was importing, unless a task is known to have ended it. */
  readonly loading: string | undefined
}

export class Flight {
  /** Number of the first chunk. */
  readonly id: number
  /** The lane that it belongs to. */
  readonly lane: number
  /** Chunks whose `done` has not come. */
  readonly chunks = new Map<number, Chunk>()
  /** The thread, once it has begun. */
  thread: number | undefined
  /** How many tasks more the thread could run at once, by its last word. */
  free = 0
  /** How many further chunks it was sent. */
  sent = 0
  /** The thread has ended the call: it takes no further chunk, although `done` of some may not have come. */
  hasLanded = false
  /** An import failed in the thread, which ends after what it has: it takes no further chunk. */
  hasFailedImport = false
  /** The thread's own code failed, which ended the thread; what it threw. */
  broken: { readonly by: unknown } | undefined
  /** A message of the thread could not be read: there may be tasks whose outcome was in it. */
  hasUnreadable = false
  #loading: { readonly url: string; readonly sinceMs: number } | undefined
  readonly #endings: Ending[] = []
  readonly #kill = new AbortController()
  #onEmpty: (() => void) | undefined

  constructor(first: Chunk, lane: number) {
    this.id = first.id
    this.lane = lane
    this.chunks.set(first.id, first)
  }

  /** Aborted when the thread is to be stopped; its reason says why. */
  get signal(): AbortSignal {
    return this.#kill.signal
  }

  /** Stops the thread. */
  kill(reason: Error): void {
    this.#kill.abort(reason)
  }

  /** Notes that the thread imports a file now, or has ended importing. */
  load(url: string | undefined): void {
    this.#loading = url === undefined ? undefined : { url, sinceMs: monotonicMs() }
  }

  /** Notes that a task is about to end the thread. */
  end(ending: Ending): void {
    this.#endings.push(ending)
  }

  /** Notes that a chunk is done with. */
  drop(chunk: number): void {
    this.chunks.delete(chunk)
    if (this.chunks.size === 0) this.#onEmpty?.()
  }

  /** Resolves when every chunk was dropped. */
  empty(): Promise<void> {
    return new Promise(resolve => {
      if (this.chunks.size === 0) resolve()
      else this.#onEmpty = resolve
    })
  }

  /** The tasks that have run for longer than `timeoutMs`. */
  overdue(timeoutMs: number, nowMs: number): { chunk: Chunk; index: number }[] {
    const late: { chunk: Chunk; index: number }[] = []
    for (const chunk of this.chunks.values()) {
      for (const { index, ageMs } of chunk.running(nowMs)) if (ageMs >= timeoutMs) late.push({ chunk, index })
    }
    return late
  }

  /** Whether nothing in the thread is worth waiting for: all that runs was asked to end and did not, or a file won't load. */
  isHopeless(timeoutMs: number, nowMs: number): boolean {
    let running = 0
    for (const chunk of this.chunks.values()) {
      for (const { index } of chunk.running(nowMs)) {
        const asked = chunk.abortedFor(index)
        // With several tasks in the thread it is stopped only when the time of each is up: none dies for another's fault.
        if (asked === undefined || nowMs - asked.atMs < abortGraceMs) return false
        running++
      }
    }
    if (running > 0) return true
    return this.#loading !== undefined && nowMs - this.#loading.sinceMs >= Math.max(timeoutMs, leastLoadMs)
  }

  /** Takes the flight apart after its thread died. */
  wreck(explain: () => unknown): Wreck {
    const waiting: Call[] = []
    const lost: { chunk: Chunk; index: number; cause: unknown }[] = []
    let begun = false
    for (const chunk of this.chunks.values()) {
      begun ||= chunk.hasBegun
      const left = chunk.aftermath()
      waiting.push(...left.waiting)
      for (const index of left.running) lost.push({ chunk, index, cause: this.#causeOfDeath(chunk, index, explain) })
    }
    const culprit = lost.length > 0 || this.#endings.length > 0
    return { waiting, lost, begun, loading: culprit ? undefined : this.#loading?.url }
  }

  #causeOfDeath(chunk: Chunk, index: number, explain: () => unknown): unknown {
    const asked = chunk.abortedFor(index)
    if (asked !== undefined) return asked.reason
    const own = this.#endings.find(ending => ending.chunk === chunk.id && ending.index === index)
    if (own !== undefined) return own.error
    const [other] = this.#endings
    if (other === undefined) return explain()
    return new Error('The thread was ended by another task that ran in it', { cause: other.error })
  }
}
