/** A thread with the chunks that it has not finished, during one call of the pool. */

import { monotonicMs } from '../time/monotonic.js'
import type { Chunk } from './chunk.js'

/** Time for a task to end after its `signal` was aborted, before its thread is stopped. Milliseconds. */
const abortGraceMs = 250

/** Least time for a file to load, where `timeoutSeconds`, which is meant for tasks, is shorter. Milliseconds. */
const minLoadMs = 30_000

/** A task that announced that it is about to end its thread, and why. */
interface EndingTask {
  readonly chunk: number
  readonly index: number
  readonly error: unknown
}

export class BusyThread {
  /** Number of the first chunk, which identifies the call of the pool in messages. */
  readonly firstChunk: number
  /** The loop that the call belongs to. */
  readonly loop: number
  /** Chunks whose `done` has not come. */
  readonly chunks = new Map<number, Chunk>()
  /** The thread's number, once it has begun. */
  threadId: number | undefined
  /** Number of further tasks that the thread could run at once, by its last message. */
  freeSlots = 0
  /** Number of further chunks that it was sent. */
  sent = 0
  /** True once the call has ended: the thread takes no further chunk, although `done` of some may not have come. */
  hasEnded = false
  /** True once an import failed in the thread, which ends after its chunks: it takes no further one. */
  hasFailedImport = false
  /** Set if the code that runs tasks failed and ended the thread, with what it threw. */
  broken: { readonly by: unknown } | undefined
  /** True if a message of the thread could not be read: there may be tasks whose outcome was in it. */
  hasUnreadable = false
  #loading: { readonly url: string; readonly sinceMs: number } | undefined
  readonly #ending: EndingTask[] = []
  readonly #kill = new AbortController()
  #onEmpty: (() => void) | undefined

  constructor(first: Chunk, loop: number) {
    this.firstChunk = first.id
    this.loop = loop
    this.chunks.set(first.id, first)
  }

  /** Aborted when the thread is to be stopped; its reason is the cause. */
  get signal(): AbortSignal {
    return this.#kill.signal
  }

  /** Stops the thread. */
  kill(reason: Error): void {
    this.#kill.abort(reason)
  }

  /** Notes the file that the thread imports now; `undefined`: it has ended importing. */
  load(url: string | undefined): void {
    this.#loading = url === undefined ? undefined : { url, sinceMs: monotonicMs() }
  }

  /** The file that the thread imports now. */
  get loading(): string | undefined {
    return this.#loading?.url
  }

  /** Notes that a task is about to end the thread. */
  noteEnding(task: EndingTask): void {
    this.#ending.push(task)
  }

  /** True if a task announced that it is about to end the thread. */
  get hasEndingTask(): boolean {
    return this.#ending.length > 0
  }

  /** Removes a chunk that is done. */
  remove(chunk: number): void {
    this.chunks.delete(chunk)
    if (this.chunks.size === 0) this.#onEmpty?.()
  }

  /** Resolves when every chunk was removed. */
  empty(): Promise<void> {
    return new Promise(resolve => {
      if (this.chunks.size === 0) resolve()
      else this.#onEmpty = resolve
    })
  }

  /** The tasks that have run for longer than `timeoutMs`. */
  overdue(timeoutMs: number, nowMs: number): { chunk: Chunk; index: number }[] {
    const overdue: { chunk: Chunk; index: number }[] = []
    for (const chunk of this.chunks.values()) {
      for (const { index, ageMs } of chunk.running(nowMs)) if (ageMs >= timeoutMs) overdue.push({ chunk, index })
    }
    return overdue
  }

  /**
   * True if the thread is to be stopped: all running tasks were asked to end and did not, or a file takes too long to
   * load.
   */
  isStuck(timeoutMs: number, nowMs: number): boolean {
    let running = 0
    for (const chunk of this.chunks.values()) {
      for (const { index } of chunk.running(nowMs)) {
        const asked = chunk.abortedFor(index)
        // Stopping the thread ends all its tasks: it waits until each of them is overdue.
        if (asked === undefined || nowMs - asked.atMs < abortGraceMs) return false
        running++
      }
    }
    if (running > 0) return true
    return this.#loading !== undefined && nowMs - this.#loading.sinceMs >= Math.max(timeoutMs, minLoadMs)
  }

  /** The error of a task that ended with the thread; `crash` where the task itself gives no reason. */
  causeOfFailure(chunk: Chunk, index: number, crash: Error): unknown {
    const asked = chunk.abortedFor(index)
    if (asked !== undefined) return asked.reason
    const own = this.#ending.find(task => task.chunk === chunk.id && task.index === index)
    if (own !== undefined) return own.error
    const [other] = this.#ending
    if (other === undefined) return crash
    return new Error('The thread was ended by another task that ran in it', { cause: other.error })
  }
}
