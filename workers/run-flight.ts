/** Runs a flight in this thread: a chunk of tasks, and the further ones that keep `concurrency` tasks running. */
import { builtins } from '../src/runtime/builtins.js'
import type { ChunkMessage } from '../src/threads/thread-messages.js'
import { ChunkRunner } from './chunk-runner.js'
import { exitThread } from './exit-thread.js'
import { ThreadLink } from './link.js'
import { hasFailedImport, loadCode, loadedCode } from './load-code.js'
import { watchMemory } from './memory.js'

/**
 * Runs the tasks of a chunk, and of those sent on request, that nobody withdraws before they begin. What a task throws is
 * its own outcome, posted as it happens.
 */
export async function runFlight(first: ChunkMessage): Promise<void> {
  const link = ThreadLink.current
  try {
    const flight = new FlightRunner(first, link)
    const memory = first.maxMemoryMb === undefined ? undefined : watchMemory(first.maxMemoryMb, link)
    await flight.run(first)
    memory?.stop()
    restoreAtomics()
  } catch (error) {
    link.breakDown(error)
  }
  // All outcomes are posted. What comes next would meet the import as it failed.
  if (hasFailedImport()) exitThread()
}

/** Piscina's code, which runs next, uses the global one. */
function restoreAtomics(): void {
  if (globalThis.Atomics === builtins.Atomics) return
  Object.defineProperty(globalThis, 'Atomics', { value: builtins.Atomics, writable: true, configurable: true })
}

class FlightRunner {
  readonly #flight: number
  readonly #link: ThreadLink
  readonly #concurrency: number
  /** Chunks with tasks that nobody took yet, oldest first. */
  readonly #chunks: ChunkRunner[] = []
  /** Lanes at work, and chunks whose code is being loaded: the flight goes on while there are some. */
  #busy = 0
  /** Lanes that found nothing to do. */
  #free: (() => void)[] = []
  #received = 0

  constructor(first: ChunkMessage, link: ThreadLink) {
    this.#flight = first.chunk
    this.#link = link
    this.#concurrency = first.concurrency
  }

  async run(first: ChunkMessage): Promise<void> {
    this.#link.post({ type: 'began', flight: this.#flight })
    await this.#add(first)
    if (this.#concurrency === 1) return this.#lane()
    this.#link.onMore = (flight, chunk) => {
      if (flight !== this.#flight) return
      this.#received++
      this.#add(chunk).catch((error: unknown) => this.#link.breakDown(error))
    }
    try {
      await builtins.Promise.all(Array.from({ length: this.#concurrency }, () => this.#lane()))
    } finally {
      this.#link.onMore = undefined
    }
  }

  async #add(message: ChunkMessage): Promise<void> {
    this.#busy++
    const codes = loadedCode(message.codes) ?? (await loadCode(message.codes, message.chunk, this.#link))
    this.#busy--
    this.#chunks.push(new ChunkRunner(message, codes, this.#link))
    this.#wake()
  }

  /** Runs one task at a time; as many of these as `concurrency` share the chunks. */
  async #lane(): Promise<void> {
    for (;;) {
      const chunk = this.#nextChunk()
      if (chunk !== undefined) {
        this.#busy++
        await chunk.drain()
        this.#busy--
      } else if (this.#busy === 0) {
        this.#wake()
        return
      } else {
        const woken = new builtins.Promise<void>(resolve => this.#free.push(resolve))
        const free = this.#free.length
        if (!hasFailedImport()) {
          this.#link.post({ type: 'hungry', flight: this.#flight, free, received: this.#received })
        }
        await woken
      }
    }
  }

  #nextChunk(): ChunkRunner | undefined {
    while (this.#chunks[0]?.isTaken) this.#chunks.shift()
    return this.#chunks[0]
  }

  #wake(): void {
    const free = this.#free
    this.#free = []
    for (const wake of free) wake()
  }
}
