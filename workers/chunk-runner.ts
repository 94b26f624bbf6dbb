/** Runs the tasks of a chunk and posts their outcomes. */

import { isPromiseLike, messageOf } from '../src/errors/thrown.js'
import { builtins } from '../src/runtime/builtins.js'
import { callCode } from '../src/tasks/call-code.js'
import { runInContext } from '../src/tasks/context.js'
import { markedTransferables } from '../src/tasks/transferables.js'
import { errorToWire } from '../src/threads/error-wire.js'
import { refuseEmptied } from '../src/threads/small-clone.js'
import { type ChunkMessage, slot, type ThreadMessage } from '../src/threads/thread-messages.js'
import { monotonicMs } from '../src/time/monotonic.js'
import { remoteContexts } from '../src/tracing/remote-contexts.js'
import type { ThreadLink } from './link.js'
import type { LoadedCode } from './load-code.js'
import { uncorkOutput } from './output.js'
import { RunningTask } from './running-task.js'

const noExtra: readonly unknown[] = []

export class ChunkRunner {
  readonly #chunk: ChunkMessage
  readonly #codes: readonly LoadedCode[]
  readonly #link: ThreadLink
  readonly #kwargs: ReadonlyMap<number, Readonly<Record<string, unknown>>>
  readonly #extras: ReadonlyMap<number, readonly unknown[]>
  /** Runs a task with its trace's context active; `undefined` where no trace is made in this thread. */
  readonly #inTrace: ReturnType<typeof remoteContexts>
  readonly #startMs = builtins.now()
  #next = 0
  #ran = 0
  /** The number of {@link drain}s that are running. */
  #draining = 0

  constructor(chunk: ChunkMessage, codes: readonly LoadedCode[], link: ThreadLink) {
    this.#chunk = chunk
    this.#codes = codes
    this.#link = link
    this.#kwargs = new Map(chunk.kwargs)
    this.#extras = new Map(chunk.extras)
    this.#inTrace = chunk.traceparents === undefined ? undefined : remoteContexts()
  }

  /** True if all tasks have been taken. */
  get isTaken(): boolean {
    return this.#next >= this.#chunk.slots.length
  }

  /** Runs tasks one after the other until none is left; several drains share the chunk, the last posts `done`. */
  async drain(): Promise<void> {
    this.#draining++
    const { slots } = this.#chunk
    for (let index = this.#next++; index < slots.length; index = this.#next++) {
      if (builtins.compareExchange(slots, index, slot.waiting, slot.running) !== slot.waiting) continue
      const running = this.#run(index)
      // Tasks that return no promise run without an await between them, which would cost more than they do.
      if (running !== undefined) await running
    }
    if (--this.#draining === 0) this.#done()
  }

  /** Runs one task; a promise only if the task returns one. */
  #run(index: number): Promise<void> | undefined {
    const { startedAtMs, postAll } = this.#chunk
    if (startedAtMs !== undefined) startedAtMs[index] = monotonicMs()
    const startMs = postAll ? builtins.now() : 0
    const task = new RunningTask(this.#chunk, index, this.#link)
    try {
      const run = () => {
        const returned = this.#call(index)
        // A lazy thenable (e.g. a query builder) starts its work when it is awaited, which is part of the task.
        return isPromiseLike(returned) ? new PendingEnd(task, returned) : returned
      }
      const value =
        this.#inTrace === undefined
          ? runInContext(task, run)
          : this.#inTrace(task.traceparent, () => runInContext(task, run))
      if (value instanceof PendingEnd) return this.#settle(task, value.end, startMs)
      this.#succeed(index, value, startMs)
    } catch (thrown) {
      this.#fail(index, thrown, startMs)
    }
    task.ended = true
    this.#ran++
    return undefined
  }

  async #settle(task: RunningTask, end: Promise<unknown>, startMs: number): Promise<void> {
    // Only now: while a task runs without awaiting, no message about it can be received.
    this.#link.begin(task)
    try {
      this.#succeed(task.index, await end, startMs)
    } catch (thrown) {
      this.#fail(task.index, thrown, startMs)
    }
    task.ended = true
    this.#link.end(task)
    this.#ran++
  }

  #call(index: number): unknown {
    const { calls } = this.#chunk
    const loaded = this.#codes[calls[2 * index] as number]
    if (loaded === undefined || 'error' in loaded)
      throw loaded?.error ?? new builtins.Error(`Expected the code of task ${index} in the chunk`)
    return callCode(
      loaded.code,
      calls[2 * index + 1] as readonly unknown[] | Record<string, unknown>,
      this.#kwargs.get(index),
      this.#extras.get(index) ?? noExtra,
    )
  }

  #succeed(index: number, value: unknown, startMs: number): void {
    const { slots, postAll } = this.#chunk
    if (postAll) this.#postSuccess(index, value, builtins.now() - startMs)
    builtins.store(slots, index, slot.succeeded)
  }

  #postSuccess(index: number, value: unknown, elapsedMs: number): void {
    const { chunk, values } = this.#chunk
    const success = { type: 'succeeded', chunk, index, elapsedMs } as const
    if (values === 'unwanted') {
      this.#link.post({ ...success, value: undefined })
      return
    }
    try {
      refuseEmptied(value)
      this.#postValue({ ...success, value })
    } catch (cause) {
      if (values === 'required') {
        throw new builtins.Error(
          `Expected the task to return a value that can be cloned to another thread: ${messageOf(cause)}`,
          { cause },
        )
      }
      this.#link.post({ ...success, value: undefined })
    }
  }

  #postValue(success: Extract<ThreadMessage, { type: 'succeeded' }>): void {
    const moved = markedTransferables(success.value)
    if (moved !== undefined) {
      try {
        this.#link.post(success, moved)
        return
      } catch {
        // One of them can't be moved (e.g. the memory of a WebAssembly module), so none was: they are copied.
      }
    }
    this.#link.post(success)
  }

  #fail(index: number, thrown: unknown, startMs: number): void {
    const { calls, chunk, slots, postAll } = this.#chunk
    const loaded = this.#codes[calls[2 * index] as number]
    const isNotLoaded = loaded !== undefined && 'error' in loaded && loaded.isNotLoaded
    const elapsedMs = postAll ? builtins.now() - startMs : Number.NaN
    this.#link.post({ type: 'failed', chunk, index, error: errorToWire(thrown), elapsedMs, isNotLoaded })
    builtins.store(slots, index, slot.failed)
  }

  #done(): void {
    const elapsedMs = builtins.now() - this.#startMs
    uncorkOutput()
    this.#link.post({ type: 'done', chunk: this.#chunk.chunk, elapsedMs, ran: this.#ran })
  }
}

/** A promise or thenable that a task returned; made in the task's context, where a thenable's `then` has to be called. */
class PendingEnd {
  readonly end: Promise<unknown>

  constructor(task: RunningTask, returned: PromiseLike<unknown>) {
    this.end = new builtins.Promise((resolve, reject) => {
      // An error thrown outside the task's own call fails the task too.
      task.fail = reject
      returned.then(resolve, reject)
    })
  }
}
