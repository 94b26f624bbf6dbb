/** A task that runs in this thread: its context, and a way to make it fail from outside its own call. */

import { logLine } from '../src/progress/log-line.js'
import { ProgressThrottle } from '../src/progress/progress-throttle.js'
import { builtins } from '../src/runtime/builtins.js'
import type { TaskContext } from '../src/tasks/context.js'
import type { ChunkMessage } from '../src/threads/thread-messages.js'
import type { PendingTask, ThreadLink } from './link.js'

export class RunningTask implements TaskContext, PendingTask {
  readonly #chunk: ChunkMessage
  readonly #link: ThreadLink
  readonly index: number
  #abort: AbortController | undefined
  #throttle: ProgressThrottle | undefined
  /** Set while the task awaits something: makes it fail at once, independently of its own promise. */
  fail: ((error: unknown) => void) | undefined
  ended = false

  constructor(chunk: ChunkMessage, index: number, link: ThreadLink) {
    this.#chunk = chunk
    this.index = index
    this.#link = link
  }

  get chunk(): number {
    return this.#chunk.chunk
  }

  get id(): string {
    const { idPrefix, idSuffixes } = this.#chunk
    return `${idPrefix}${typeof idSuffixes === 'number' ? idSuffixes + this.index : idSuffixes[this.index]}`
  }

  get attempt(): number {
    const { attempts } = this.#chunk
    return typeof attempts === 'number' ? attempts : (attempts[this.index] ?? 1)
  }

  get traceparent(): string | undefined {
    return this.#chunk.traceparents?.[this.index]
  }

  // Created on demand: most tasks never use it.
  get signal(): AbortSignal {
    this.#abort ??= new builtins.AbortController()
    return this.#abort.signal
  }

  async renew(seconds: number): Promise<void> {
    await this.#link.host.renew(this.chunk, this.index, seconds)
  }

  progress(fraction: number, note?: string): void {
    if (this.ended) return
    this.#throttle ??= new ProgressThrottle()
    const progress = this.#throttle.admit(fraction, note)
    if (progress === undefined) return
    const { chunk, index } = this
    this.#link.send({ type: 'progress', chunk, index, ...progress }, progress.note?.length ?? 0)
  }

  log(...values: unknown[]): void {
    const text = logLine(values)
    this.#link.send({ type: 'log', chunk: this.chunk, index: this.index, text }, text.length)
  }

  abort(reason: unknown): void {
    this.#abort ??= new builtins.AbortController()
    this.#abort.abort(reason)
  }
}
