/** Runs a flight in this thread: a chunk of tasks, and the further ones that keep `concurrency` tasks running. */
import type { ChunkMessage } from '../src/threads/thread-messages.js'
import { ChunkRunner } from './chunk-runner.js'
import { exitThread } from './deaths.js'
import { ThreadLink } from './link.js'
import { hasFailedImport, loadCode, loadedCode } from './load-code.js'
import { watchMemory } from './memory.js'

/**
 * Runs the tasks of a chunk, and of those sent on request, that nobody withdraws before they begin. What a task throws is
 * its own outcome, posted as it happens.
 */
export async function runFlight(first: ChunkMessage): Promise<void> {
  const flight = new FlightRunner(first, ThreadLink.current)
  const memory = first.maxMemoryMb === undefined ? undefined : watchMemory(first.maxMemoryMb, ThreadLink.current)
  try {
    await flight.run(first)
  } finally {
    memory?.stop()
  }
  // All outcomes are posted. What comes next would meet the import as it failed.
  if (hasFailedImport()) exitThread()
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
      void this.#add(chunk)
    }
    try {
      await Promise.all(Array.from({ length: this.#concurrency }, () => this.#lane()))
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
        const woken = new Promise<void>(resolve => this.#free.push(resolve))
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
