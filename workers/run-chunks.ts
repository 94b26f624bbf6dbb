/** Runs a chunk of tasks in this thread, and the further ones that keep `concurrency` tasks running. */
import { builtins } from '../src/runtime/builtins.js'
import type { ChunkMessage } from '../src/threads/thread-messages.js'
import { ChunkRunner } from './chunk-runner.js'
import { exitThread } from './exit-thread.js'
import { ThreadLink } from './link.js'
import { hasFailedImport, loadCode, loadedCode } from './load-code.js'
import { watchMemory } from './memory.js'

/**
 * Runs the tasks of a chunk, and of those sent on request, except those withdrawn before they begin. An error of a task is
 * its outcome, posted at once.
 */
export async function runChunks(first: ChunkMessage): Promise<void> {
  const link = ThreadLink.current
  try {
    const runner = new ThreadRunner(first, link)
    const memory = first.maxMemoryMb === undefined ? undefined : watchMemory(first.maxMemoryMb, link)
    await runner.run(first)
    memory?.stop()
    restoreAtomics()
  } catch (error) {
    link.crash(error)
  }
  // All outcomes are posted. Node keeps a failed import as long as the thread lives.
  if (hasFailedImport()) exitThread()
}

/** Restores the global `Atomics`, which Piscina's code uses next. */
function restoreAtomics(): void {
  if (globalThis.Atomics === builtins.Atomics) return
  Object.defineProperty(globalThis, 'Atomics', { value: builtins.Atomics, writable: true, configurable: true })
}

class ThreadRunner {
  readonly #firstChunk: number
  readonly #link: ThreadLink
  readonly #concurrency: number
  /** Chunks with tasks that no loop has taken, oldest first. */
  readonly #chunks: ChunkRunner[] = []
  /** Loops that run tasks, and chunks whose code is being loaded: the run continues while there are some. */
  #busy = 0
  /** Wake-ups of loops that found no task. */
  #idle: (() => void)[] = []
  #received = 0

  constructor(first: ChunkMessage, link: ThreadLink) {
    this.#firstChunk = first.chunk
    this.#link = link
    this.#concurrency = first.concurrency
  }

  async run(first: ChunkMessage): Promise<void> {
    this.#link.post({ type: 'began', firstChunk: this.#firstChunk })
    await this.#add(first)
    if (this.#concurrency === 1) return this.#loop()
    this.#link.onMore = (firstChunk, chunk) => {
      if (firstChunk !== this.#firstChunk) return
      this.#received++
      this.#add(chunk).catch((error: unknown) => this.#link.crash(error))
    }
    try {
      await builtins.Promise.all(Array.from({ length: this.#concurrency }, () => this.#loop()))
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

  /** Runs one task at a time; `concurrency` loops share the chunks. */
  async #loop(): Promise<void> {
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
        const added = new builtins.Promise<void>(resolve => this.#idle.push(resolve))
        const free = this.#idle.length
        if (!hasFailedImport()) {
          this.#link.post({ type: 'free-slots', firstChunk: this.#firstChunk, free, received: this.#received })
        }
        await added
      }
    }
  }

  #nextChunk(): ChunkRunner | undefined {
    while (this.#chunks[0]?.isTaken) this.#chunks.shift()
    return this.#chunks[0]
  }

  #wake(): void {
    const free = this.#idle
    this.#idle = []
    for (const wake of free) wake()
  }
}
