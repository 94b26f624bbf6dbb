/** The flights of a run, and the chunks they carry. */
import type { Call } from './call.js'
import type { Chunk } from './chunk.js'
import type { Flight } from './flight.js'

export class Flights implements Iterable<Flight> {
  readonly #flights = new Set<Flight>()
  readonly #byChunk = new Map<number, { readonly flight: Flight; readonly chunk: Chunk }>()

  get size(): number {
    return this.#flights.size
  }

  [Symbol.iterator](): Iterator<Flight> {
    return this.#flights.values()
  }

  /** Notes a flight with its first chunk. */
  add(flight: Flight): void {
    this.#flights.add(flight)
    for (const chunk of flight.chunks.values()) this.#byChunk.set(chunk.id, { flight, chunk })
  }

  /** Notes a further chunk. */
  addChunk(flight: Flight, chunk: Chunk): void {
    flight.chunks.set(chunk.id, chunk)
    this.#byChunk.set(chunk.id, { flight, chunk })
  }

  /** Notes that a chunk is done with. */
  dropChunk(flight: Flight, chunk: Chunk): void {
    this.#byChunk.delete(chunk.id)
    flight.drop(chunk.id)
  }

  /** Notes that a flight has landed. Its chunks were dropped before. */
  drop(flight: Flight): void {
    this.#flights.delete(flight)
  }

  /** The flight with this number. */
  withId(id: number): Flight | undefined {
    for (const flight of this.#flights) if (flight.id === id) return flight
    return undefined
  }

  /** The flight in this thread. */
  inThread(thread: number): Flight | undefined {
    for (const flight of this.#flights) if (flight.thread === thread) return flight
    return undefined
  }

  /** A chunk that is not done, and its flight. */
  carrying(chunk: number): { readonly flight: Flight; readonly chunk: Chunk } | undefined {
    return this.#byChunk.get(chunk)
  }

  /** Where a call is. */
  find(call: Call): { readonly flight: Flight; readonly chunk: Chunk; readonly index: number } | undefined {
    for (const { flight, chunk } of this.#byChunk.values()) {
      const index = chunk.indexOf(call)
      // Withdrawn: another chunk may have it now.
      if (index >= 0 && !chunk.isWithdrawn(index)) return { flight, chunk, index }
    }
    return undefined
  }

  /** The call at a place of a chunk that is not done. */
  call(chunk: number, index: number): Call | undefined {
    return this.#byChunk.get(chunk)?.chunk.calls[index]
  }

  /** Whether some thread has tasks that it has not begun. */
  get hasWaiting(): boolean {
    for (const { chunk } of this.#byChunk.values()) if (chunk.waitingCount > 0) return true
    return false
  }

  /** Takes half of what the fullest chunk has not begun, at most `max`; not from `thief` itself. */
  steal(max: number, thief: Flight | undefined): Call[] {
    let fullest: Chunk | undefined
    let most = 0
    for (const { flight, chunk } of this.#byChunk.values()) {
      const waiting = flight === thief ? 0 : chunk.waitingCount
      // A thread that has begun none of its tasks is only starting: it would be no sooner done elsewhere.
      if (waiting > most && chunk.hasBegun) {
        fullest = chunk
        most = waiting
      }
    }
    return fullest?.withdraw(Math.min(max, Math.ceil(most / 2))) ?? []
  }

  /**
   * Takes back all that was handed out at `beforeMs` at the latest (by `performance.now()`) and has not begun.
   * @param leaveOne a thread that has begun none keeps one: else one that takes long to start would never have a task
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
