/**
 * Runs calls on pool threads: `parallel` loops, each of which takes a chunk from the source, has one thread run it, and
 * takes the next. Chunks grow until one lasts about 50 milliseconds. A loop that finds the source empty takes tasks that
 * have not begun from the others' chunks, so that no task waits behind a slow one while a thread is idle. A thread that
 * could run more asynchronous tasks at once than it has is sent further chunks.
 */

import { BusyThread } from './busy-thread.js'
import { BusyThreads } from './busy-threads.js'
import type { Call } from './call.js'
import { CallSupply } from './call-supply.js'
import { Chunk, type ChunkSettings } from './chunk.js'
import { ChunkOutcomes, failed } from './chunk-outcomes.js'
import { ChunkSize } from './chunk-size.js'
import { CrashReports } from './crash-reports.js'
import { errorFromWire } from './error-wire.js'
import { Loops } from './loops.js'
import { type RunMessage, type ThreadListener, ThreadPool } from './pool.js'
import type { Run, RunningCall, RunOptions } from './run-options.js'
import type { Semaphore } from './semaphore.js'
import type { ChunkMessage } from './thread-messages.js'
import { hasUncloneable, isCloneError, splitUncloneable } from './uncloneable.js'
import { Watchdog } from './watchdog.js'

/** Settings of a run on threads. */
export interface ThreadRunOptions<T> extends RunOptions<T> {
  /** Loops, and so threads, at most. */
  readonly parallel: number
  /** Shared by all runs of one queue, so that they keep to `parallel` threads together. */
  readonly semaphore: Semaphore
  readonly timeoutSeconds: number | undefined
  readonly maxMemoryMb: number | undefined
}

export class ThreadRun<T> implements Run, ThreadListener {
  readonly done: Promise<void>
  readonly #options: ThreadRunOptions<T>
  readonly #settings: ChunkSettings
  readonly #pool: ThreadPool
  readonly #threads = new BusyThreads()
  readonly #supply: CallSupply<T>
  readonly #loops: Loops<T>
  readonly #outcomes: ChunkOutcomes
  readonly #watchdog: Watchdog
  readonly #size: ChunkSize
  readonly #crashReports: CrashReports
  #sendMoreTimer: NodeJS.Immediate | undefined

  constructor(options: ThreadRunOptions<T>) {
    this.#options = options
    const timeoutMs = options.timeoutSeconds === undefined ? undefined : options.timeoutSeconds * 1000
    const { idPrefix, postAll, wantsValues, concurrency, maxMemoryMb, moveInputs = false, tracing } = options
    this.#settings = { idPrefix, postAll, wantsValues, concurrency, maxMemoryMb, timeoutMs, moveInputs, tracing }
    // A task whose input was moved can't be taken back for another thread.
    this.#size = new ChunkSize(moveInputs ? 1 : options.maxChunk)
    this.#crashReports = new CrashReports(maxMemoryMb)
    this.#supply = new CallSupply(options, this.#threads)
    this.#loops = new Loops(this.#supply, options.semaphore, () => this.#sendMoreSoon())
    this.#pool = ThreadPool.join(this, maxMemoryMb)
    if (tracing !== undefined) this.#pool.mayHaveSpans = true
    this.#outcomes = new ChunkOutcomes({
      listener: options.listener,
      loadBackoff: options.loadBackoff,
      threads: this.#threads,
      supply: this.#supply,
      pool: this.#pool,
      size: this.#size,
      crashReports: this.#crashReports,
    })
    this.#watchdog = new Watchdog(this.#threads, this.#outcomes, this.#pool, timeoutMs)
    this.done = this.#run()
  }

  stop(): Call[] {
    const withdrawn = this.#supply.stop()
    this.#loops.wake()
    return withdrawn
  }

  withdraw(olderThanMs: number): Call[] {
    return this.#threads.withdraw(performance.now() - olderThanMs, olderThanMs > 0)
  }

  abort(call: Call, reason: Error): boolean {
    const found = this.#threads.find(call)
    if (found !== undefined && !found.chunk.withdrawAt(found.index)) {
      this.#watchdog.abort(found.thread, found.chunk, found.index, reason)
      return true
    }
    this.#supply.drop(call)
    return false
  }

  resume(): void {
    this.#loops.wake()
  }

  running(max: number): RunningCall[] {
    const calls = [...this.#threads].flatMap(({ chunks }) =>
      [...chunks.values()].flatMap(({ runningCalls, handedOutAtMs }) =>
        runningCalls.map(call => ({ call, startedAtMs: handedOutAtMs })),
      ),
    )
    return calls.slice(0, max)
  }

  async #run(): Promise<void> {
    const { source, parallel } = this.#options
    try {
      await this.#loops.run(
        parallel,
        loop => this.#supply.take(this.#size.tasks, loop),
        (calls, loop) => this.#runChunk(calls, loop),
      )
    } finally {
      this.#watchdog.stop()
      clearImmediate(this.#sendMoreTimer)
      await source.stop()
      await this.#pool.printed()
      this.#pool.leave(this)
    }
    const { failure } = this.#supply
    if (failure !== undefined) throw failure.thrown
  }

  /** Sends further tasks to threads that could run more at once; later, so that idle threads come before them. */
  #sendMoreSoon(): void {
    if (this.#settings.concurrency === 1) return
    this.#sendMoreTimer ??= setImmediate(() => {
      this.#sendMoreTimer = undefined
      for (const thread of [...this.#threads]) this.#sendMore(thread)
    })
  }

  #fail(thrown: unknown): void {
    this.#supply.fail(thrown)
    this.#loops.wake()
  }

  async #runChunk(calls: Call[], loop: number): Promise<void> {
    const loadable = this.#outcomes.loadable(calls)
    if (loadable.length === 0) return
    const chunk = new Chunk(loadable, this.#settings)
    const thread = new BusyThread(chunk, loop)
    this.#threads.add(thread)
    this.#watchdog.start()
    this.#reportStart(loadable)
    // Idle loops may steal from it.
    this.#loops.wake()
    try {
      await this.#send(chunk, thread)
      thread.hasEnded = true
      // Chunks that were sent too late were not begun. The `done` of all others still comes, by another port than the call's end.
      for (const late of [...thread.chunks.values()]) {
        this.#supply.putBack(late.withdraw(Number.POSITIVE_INFINITY))
        if (!late.hasBegun) this.#outcomes.remove(thread, late)
      }
      await thread.empty()
    } catch (thrown) {
      const neverBegan = thread.threadId === undefined && !thread.signal.aborted
      // An extra argument that is nested too deeply, or whose getter throws, fails with another error.
      if (isCloneError(thrown) || (neverBegan && hasUncloneable(chunk.calls))) this.#refuseUncloneable(chunk, thrown)
      else this.#afterCrash(thread, await this.#causeOfCrash(thread, thrown))
    } finally {
      for (const left of [...thread.chunks.values()]) this.#outcomes.remove(thread, left)
      this.#threads.remove(thread)
      if (this.#settings.concurrency > 1) this.#supply.wantNone(this.#extraLoop(loop))
      this.#loops.wake()
    }
  }

  /** The cause of a crash. A thread that rejected its call but did not end can't run tasks, and is stopped. */
  async #causeOfCrash(thread: BusyThread, thrown: unknown): Promise<unknown> {
    if (thread.signal.aborted) return thread.signal.reason
    this.#pool.receiveAll()
    if (thread.threadId !== undefined && (await this.#pool.stopThread(thread.threadId)))
      thread.broken ??= { by: thrown }
    return thrown
  }

  async #send(chunk: Chunk, thread: BusyThread): Promise<void> {
    const message = chunk.message()
    const { moved } = chunk
    if (moved.length > 0) {
      try {
        return await this.#pool.run<ChunkMessage, void>('run', message, thread.signal, moved)
      } catch (thrown) {
        if (!isCloneError(thrown)) throw thrown
        // One of them can't be moved (e.g. the memory of a WebAssembly module), and none was: they are copied.
      }
    }
    await this.#pool.run<ChunkMessage, void>('run', message, thread.signal)
  }

  /** Sends further tasks to a thread that could run more at once. */
  #sendMore(thread: BusyThread): void {
    const { freeSlots, threadId, loop, chunks } = thread
    // With all its chunks done its call is about to end.
    if (freeSlots === 0 || threadId === undefined || chunks.size === 0 || thread.hasEnded || this.#supply.isStopped)
      return
    if (thread.hasFailedImport) return
    try {
      const taken = this.#supply.take(Math.max(freeSlots, this.#size.tasks), this.#extraLoop(loop), thread)
      const calls = this.#outcomes.loadable(taken)
      if (calls.length === 0) {
        this.#loops.watch()
        return
      }
      const chunk = new Chunk(calls, this.#settings)
      this.#threads.addChunk(thread, chunk)
      this.#reportStart(calls)
      try {
        this.#pool.send(threadId, { type: 'more', firstChunk: thread.firstChunk, chunk: chunk.message() })
        thread.freeSlots = 0
        thread.sent++
      } catch (thrown) {
        this.#refuseUncloneable(chunk, thrown)
        this.#outcomes.remove(thread, chunk)
      }
    } catch (thrown) {
      this.#fail(thrown)
    }
  }

  /** The number under which a thread asks the source for tasks beyond those of its first chunk. */
  #extraLoop(loop: number): number {
    return this.#options.parallel + loop
  }

  /** A call that is taken back before it began is sent to a thread again: that is still one start. */
  #reportStart(calls: readonly Call[]): void {
    const { listener } = this.#options
    if (listener.onStart === undefined) return
    for (const call of calls) {
      if (!this.#supply.wasTakenBefore(call)) listener.onStart(call)
    }
  }

  /** Handles a crash: tasks that ran in the thread failed, those that had not begun are run elsewhere. */
  #afterCrash(thread: BusyThread, crash: unknown): void {
    this.#pool.receiveAll()
    if (thread.hasUnreadable) this.#outcomes.settleUnreadable(thread)
    const { waiting, lost, notLoaded, fatal } = this.#crashReports.report(thread, crash)
    const nowMs = performance.now()
    for (const { chunk, index, cause } of lost)
      this.#outcomes.settle(chunk, index, failed(cause, nowMs - chunk.sinceMs))
    for (const call of waiting) {
      if (notLoaded !== undefined && call.code.url === notLoaded.url) this.#outcomes.notLoaded(call, notLoaded.error)
      else this.#supply.putBack([call])
    }
    if (fatal !== undefined) this.#fail(fatal)
  }

  /** Handles a chunk that can't be posted: the calls that are the cause fail, the others are sent with the next one. */
  #refuseUncloneable(chunk: Chunk, thrown: unknown): void {
    const { cloneable, refused } = splitUncloneable(chunk.withdraw(Number.POSITIVE_INFINITY))
    if (refused.length === 0) this.#fail(thrown)
    this.#supply.putBack(cloneable)
    for (const { call, error } of refused) this.#outcomes.report(call, failed(error))
  }

  onMessage(message: RunMessage, threadId: number): void {
    if (message.type === 'unhandled-error') {
      this.#options.listener.onUnhandledError(message.taskId, errorFromWire(message.error))
    } else if (message.type === 'began') {
      const thread = this.#threads.withFirstChunk(message.firstChunk)
      if (thread !== undefined) thread.threadId = threadId
    } else if (message.type === 'free-slots') {
      const thread = this.#threads.withFirstChunk(message.firstChunk)
      if (thread === undefined || thread.sent !== message.received) return
      thread.freeSlots = message.free
      this.#sendMoreSoon()
    } else if (message.type === 'ending') {
      // A task that had ended may still do so, by a timer that it left running.
      const thread = this.#threads.withChunk(message.chunk)?.thread ?? this.#threads.withNumber(threadId)
      thread?.noteEnding({ chunk: message.chunk, index: message.index, error: errorFromWire(message.error) })
    } else if (message.type === 'broken') {
      const thread = this.#threads.withNumber(threadId)
      if (thread !== undefined) thread.broken = { by: errorFromWire(message.error) }
    } else if (message.type !== 'printed' && message.type !== 'slice-not-loaded') {
      const found = this.#threads.withChunk(message.chunk)
      if (found !== undefined) this.#outcomes.onMessage(message, found.thread, found.chunk)
    }
  }

  onSpawnError(error: Error): boolean {
    const waiting = [...this.#threads].filter(thread => thread.threadId === undefined)
    for (const thread of waiting) thread.kill(error)
    return waiting.length > 0
  }

  onUnreadable(threadId: number): void {
    const thread = this.#threads.withNumber(threadId)
    if (thread !== undefined) thread.hasUnreadable = true
  }

  async renew(chunk: number, index: number, seconds: number): Promise<void> {
    const call = this.#threads.call(chunk, index)
    if (call !== undefined) await this.#options.listener.onRenew(call, seconds)
  }
}
