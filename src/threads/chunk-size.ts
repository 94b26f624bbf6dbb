/** The number of tasks that are sent to a thread at once. */
import type { ChunkReport } from './thread-messages.js'

/**
 * Sending a chunk costs about 0.5 ms of CPU, the waking of both threads included: with tasks of 5 ms, chunks of 10 ms cost
 * 5.05 to 5.15 ms of CPU a task, chunks of 50 ms 4.85 to 4.9, a plain loop 4.75. An idle thread takes tasks out of others'
 * chunks, so a longer chunk keeps no thread waiting; it only delays the report of successes. Milliseconds.
 */
const chunkMs = 50

/**
 * Bounds the memory of a chunk (its tasks survive a minor garbage collection: 4,096 cost 10 MB more, 1,024 save nothing),
 * and the time that the main thread needs to make one.
 */
const maxTasks = 2048

/** Bounds the growth from one chunk to the next: the first tasks may not be typical. */
const growth = 8

/** Measures the duration of tasks in finished chunks. Adapts at once to slower tasks, gradually to faster ones. */
export class ChunkSize {
  readonly #max: number
  #tasks = 1
  #taskMs: number | undefined

  /** @param max tasks in a chunk at most, if that is fewer than usual */
  constructor(max = maxTasks) {
    this.#max = Math.min(max, maxTasks)
  }

  /** The number of tasks for the next chunk. */
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
