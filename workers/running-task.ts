/** A task that runs in this thread: its context, and how it is made to fail from outside its own call. */
import { format } from 'node:util'
import { ProgressThrottle } from '../src/progress/progress-throttle.js'
import type { TaskContext } from '../src/tasks/context.js'
import type { ChunkMessage } from '../src/threads/thread-messages.js'
import type { ThreadLink } from './link.js'

export class RunningTask implements TaskContext {
  readonly #chunk: ChunkMessage
  readonly #link: ThreadLink
  readonly index: number
  #abort: AbortController | undefined
  #throttle: ProgressThrottle | undefined
  /** Set while the task awaits something: makes it fail at once, whatever becomes of its own promise. */
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

  // Made when asked for: most tasks never look.
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    return this.#abort.signal
  }

  async renew(seconds: number): Promise<void> {
    await this.#link.host.renew(this.chunk, this.index, seconds)
  }

  progress(fraction: number, note?: string): void {
    this.#throttle ??= new ProgressThrottle()
    if (this.#throttle.admits(fraction, note)) {
      this.#link.track(this.#link.host.progress(this.chunk, this.index, fraction, note))
    }
  }

  log(...values: unknown[]): void {
    this.#link.track(this.#link.host.log(this.chunk, this.index, format(...values)))
  }

  isFor(chunk: number, index: number): boolean {
    return this.chunk === chunk && this.index === index
  }

  abort(reason: unknown): void {
    this.#abort ??= new AbortController()
    this.#abort.abort(reason)
  }
}
