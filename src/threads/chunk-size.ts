/** How many tasks go to a thread at once. */
import type { ChunkReport } from './thread-messages.js'

/**
 * A crossing costs about 0.5 ms of CPU, the waking of both threads included: with tasks of 5 ms, chunks of 10 ms cost 5.05
 * to 5.15 ms of CPU a task, chunks of 50 ms 4.85 to 4.9, a plain loop 4.75. An idle thread takes tasks out of others'
 * chunks, so a longer one keeps nobody waiting; it only delays the word of successes. Milliseconds.
 */
const chunkMs = 50

/**
 * Bounds the memory of a chunk (its tasks outlive a turn of the garbage collector: 4,096 cost 10 MB more, 1,024 save
 * nothing), and the time that the main thread needs to make one.
 */
const maxTasks = 2048

/** A chunk is at most so many times larger than the one before: the first tasks may not be like the rest. */
const growth = 8

/** Learns the length of tasks from finished chunks: believes slow ones at once, fast ones by and by. */
export class ChunkSize {
  readonly #max: number
  #tasks = 1
  #taskMs: number | undefined

  /** @param max tasks in a chunk at most, if that is fewer than usual */
  constructor(max = maxTasks) {
    this.#max = Math.min(max, maxTasks)
  }

  /** How many tasks the next chunk should have. */
  get tasks(): number {
    return this.#tasks
  }

  learn({ elapsedMs, ran }: ChunkReport): void {
    if (ran === 0) return
    const taskMs = elapsedMs / ran
    this.#taskMs = this.#taskMs === undefined || taskMs > this.#taskMs ? taskMs : (this.#taskMs + taskMs) / 2
    const fitting = Math.floor(chunkMs / Math.max(this.#taskMs, 1e-6))
    this.#tasks = Math.max(1, Math.min(fitting, this.#tasks * growth, this.#max))
  }
}
