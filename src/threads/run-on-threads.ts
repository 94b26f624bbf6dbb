/**
 * Runs calls on pool threads: `parallel` loops, each of which takes a chunk from the source, has one thread run it, and
 * takes the next. Chunks grow until one lasts about 50 milliseconds. A loop that finds the source empty takes tasks that
 * have not begun from the others' chunks, so that no task waits behind a slow one while a thread is idle. A thread that
 * could run more asynchronous tasks at once than it has is sent further chunks.
 */

import { BusyThread } from './busy-thread.js'
import { BusyThreads } from './busy-threads.js'
import type { Call, FailedOutcome, Outcome } from './call.js'
import { Chunk, type ChunkSettings } from './chunk.js'
import { ChunkSize } from './chunk-size.js'
import { CrashReports } from './crash-reports.js'
import { refuseEntryScript } from './entry-script.js'
import { errorFromWire, errorToWire } from './error-wire.js'
import { FailedImports } from './failed-imports.js'
import { Loops, type LoopWork } from './loops.js'
import { type RunMessage, type ThreadListener, ThreadPool } from './pool.js'
import type { Run, RunningCall, RunOptions } from './run-options.js'
import type { Semaphore } from './semaphore.js'
import type { ChunkMessage, ThreadMessage } from './thread-messages.js'
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

type ChunkThreadMessage = Extract<
  ThreadMessage,
  { readonly chunk: number; readonly type: Exclude<ThreadMessage['type'], 'ending'> }
>

export class ThreadRun<T> implements Run, ThreadListener {
  readonly done: Promise<void>
  readonly #options: ThreadRunOptions<T>
  readonly #settings: ChunkSettings
  readonly #pool: ThreadPool
  readonly #threads = new BusyThreads()
  readonly #loops: Loops
  readonly #watchdog: Watchdog
  /** Calls to be run again elsewhere: taken from a slow thread or left by a crashed one. */
  #returned: Call[] = []
  readonly #started = new WeakSet<Call>()
  readonly #size: ChunkSize
  readonly #crashReports: CrashReports
  readonly #failedImports: FailedImports
  #stopped = false
  readonly #report = (call: Call, outcome: Outcome): void => this.#options.listener.onOutcome(call, outcome)
  #fatal: { readonly thrown: unknown } | undefined
  #sendMoreTimer: NodeJS.Immediate | undefined

  constructor(options: ThreadRunOptions<T>) {
    this.#options = options
    const timeoutMs = options.timeoutSeconds === undefined ? undefined : options.timeoutSeconds * 1000
    const { idPrefix, postAll, wantsValues, concurrency, maxMemoryMb, moveInputs = false, tracing } = options
    this.#settings = { idPrefix, postAll, wantsValues, concurrency, maxMemoryMb, timeoutMs, moveInputs, tracing }
    // A task whose input was moved can't be taken back for another thread.
    this.#size = new ChunkSize(moveInputs ? 1 : options.maxChunk)
    this.#crashReports = new CrashReports(maxMemoryMb)
    this.#failedImports = new FailedImports(options.loadBackoff)
    this.#loops = new Loops(this.#work(), options.semaphore)
    this.#watchdog = new Watchdog(this.#threads, timeoutMs, {
      report: this.#report,
      abort: (threadId, { id }, index, reason) =>
        this.#pool.send(threadId, { type: 'abort', chunk: id, index, reason: errorToWire(reason) }),
      settleUnreadable: thread => this.#settleUnreadable(thread),
    })
    this.#pool = ThreadPool.join(this, maxMemoryMb)
    if (tracing !== undefined) this.#pool.mayHaveSpans = true
    this.done = this.#run()
  }

  stop(): Call[] {
    if (this.#stopped) return []
    this.#stopped = true
    const withdrawn = this.#returned.concat(this.withdraw(0))
    this.#returned = []
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
    this.#returned = this.#returned.filter(returned => returned !== call)
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
      await this.#loops.run(parallel)
    } finally {
      this.#watchdog.stop()
      clearImmediate(this.#sendMoreTimer)
      await source.stop()
      await this.#pool.printed()
      this.#pool.leave(this)
    }
    const failure = this.#fatal ?? source.error
    if (failure !== undefined) throw failure.thrown
  }

  #work(): LoopWork {
    const run = this
    const { source, mayPull } = this.#options
    return {
      get isOver() {
        return run.#stopped || (source.ended && run.#threads.size === 0 && run.#returned.length === 0)
      },
      get hasWaiting() {
        return run.#threads.hasWaiting
      },
      take: loop => this.#take(this.#size.tasks, loop),
      peek: () => {
        if (mayPull?.() ?? true) source.peek?.()
      },
      run: (calls, loop) => this.#runChunk(calls, loop),
      fail: thrown => this.#fail(thrown),
      onWake: () => this.#sendMoreSoon(),
      sourceReady: () => (source.ended || mayPull?.() === false ? undefined : source.ready()),
    }
  }

  /**
   * Up to `max` calls for a thread: returned ones first, then the source's, then what other threads have not begun.
   * @param busy the thread that they are for, if it is running others
   */
  #take(max: number, loop: number, busy?: BusyThread): Call[] {
    if (this.#stopped) return []
    if (this.#returned.length > 0) return this.#returned.splice(0, max)
    const { source, toCall, mayPull } = this.#options
    const calls = (mayPull?.() ?? true) ? source.take(max, loop).map(toCall) : []
    // Checked before any of them is sent, so that nothing has run when the error is about all of them.
    for (const { code } of calls) refuseEntryScript(code)
    if (calls.length > 0) return calls
    const stolen = this.#threads.steal(busy === undefined ? Number.POSITIVE_INFINITY : max, busy)
    if (stolen.length > 0) source.take(0, loop)
    return stolen
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
    this.#fatal ??= { thrown }
    this.stop()
  }

  async #runChunk(calls: Call[], loop: number): Promise<void> {
    const loadable = this.#failedImports.withoutFailed(calls, this.#report)
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
        this.#requeue(late.withdraw(Number.POSITIVE_INFINITY))
        if (!late.hasBegun) this.#remove(thread, late)
      }
      await thread.empty()
    } catch (thrown) {
      const neverBegan = thread.threadId === undefined && !thread.signal.aborted
      // An extra argument that is nested too deeply, or whose getter throws, fails with another error.
      if (isCloneError(thrown) || (neverBegan && hasUncloneable(chunk.calls))) this.#refuseUncloneable(chunk, thrown)
      else this.#afterCrash(thread, await this.#causeOfCrash(thread, thrown))
    } finally {
      for (const left of [...thread.chunks.values()]) this.#remove(thread, left)
      this.#threads.remove(thread)
      if (this.#settings.concurrency > 1 && !this.#stopped) this.#options.source.take(0, this.#extraLoop(loop))
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
    if (freeSlots === 0 || threadId === undefined || chunks.size === 0 || thread.hasEnded || this.#stopped) return
    if (thread.hasFailedImport) return
    try {
      const taken = this.#take(Math.max(freeSlots, this.#size.tasks), this.#extraLoop(loop), thread)
      const calls = this.#failedImports.withoutFailed(taken, this.#report)
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
        this.#remove(thread, chunk)
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
      if (this.#started.has(call)) continue
      this.#started.add(call)
      listener.onStart(call)
    }
  }

  #remove(thread: BusyThread, chunk: Chunk): void {
    chunk.reportSilentSuccesses(this.#report)
    this.#threads.removeChunk(thread, chunk)
  }

  #requeue(calls: readonly Call[]): void {
    if (this.#stopped) return
    for (const call of calls) this.#returned.push(call)
  }

  /** Handles a crash: tasks that ran in the thread failed, those that had not begun are run elsewhere. */
  #afterCrash(thread: BusyThread, crash: unknown): void {
    this.#pool.receiveAll()
    if (thread.hasUnreadable) this.#settleUnreadable(thread)
    const { waiting, lost, notLoaded, fatal } = this.#crashReports.report(thread, crash)
    const nowMs = performance.now()
    for (const { chunk, index, cause } of lost) this.#settle(chunk, index, failed(cause, nowMs - chunk.sinceMs))
    for (const call of waiting) {
      if (notLoaded !== undefined && call.code.url === notLoaded.url) this.#notLoaded(call, notLoaded.error)
      else this.#requeue([call])
    }
    if (fatal !== undefined) this.#fail(fatal)
  }

  /** Handles a call that has not begun, because its file could not be loaded. */
  #notLoaded(call: Call, error: unknown): void {
    const outcome = this.#failedImports.outcome(call, error)
    if (outcome === undefined) this.#requeue([call])
    else this.#report(call, outcome)
  }

  /** Handles a chunk that can't be posted: the calls that are the cause fail, the others are sent with the next one. */
  #refuseUncloneable(chunk: Chunk, thrown: unknown): void {
    const { cloneable, refused } = splitUncloneable(chunk.withdraw(Number.POSITIVE_INFINITY))
    if (refused.length === 0) this.#fail(thrown)
    this.#requeue(cloneable)
    for (const { call, error } of refused) this.#report(call, failed(error))
  }

  #settle(chunk: Chunk, index: number, outcome: Outcome): void {
    const call = chunk.calls[index]
    if (call === undefined || !chunk.settle(index)) return
    const asked = chunk.abortedFor(index)
    this.#failedImports.loaded(call)
    // A task that was asked to end failed, even if it then ends without an error.
    this.#report(call, asked === undefined ? outcome : failed(asked.reason, outcome.elapsedMs))
  }

  /**
   * Reports tasks that have ended by their slots, and whose outcome, posted before, is not among the messages received
   * since: it was in one that can't be read.
   */
  #settleUnreadable(thread: BusyThread): void {
    const unreported = [...thread.chunks.values()].map(chunk => ({ chunk, indexes: chunk.unreported }))
    this.#pool.receiveAll()
    for (const { chunk, indexes } of unreported) {
      for (const index of indexes) this.#settle(chunk, index, chunk.unreadableOutcome(index))
    }
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
      if (found !== undefined) this.#onChunkMessage(message, found.thread, found.chunk)
    }
  }

  #onChunkMessage(message: ChunkThreadMessage, thread: BusyThread, chunk: Chunk): void {
    const { type } = message
    if (type === 'loading') thread.load(message.url)
    else if (type === 'progress') this.#onProgress(message, chunk)
    else if (type === 'log') {
      const call = chunk.calls[message.index]
      if (call !== undefined) this.#options.listener.onLog(call, message.text)
    } else if (type === 'failed' && message.isNotLoaded) {
      thread.hasFailedImport = true
      const call = chunk.calls[message.index]
      if (call !== undefined && chunk.settle(message.index)) this.#notLoaded(call, errorFromWire(message.error))
    } else if (type === 'failed')
      this.#settle(chunk, message.index, failed(errorFromWire(message.error), message.elapsedMs))
    else if (type === 'succeeded')
      this.#settle(chunk, message.index, { ok: true, value: message.value, elapsedMs: message.elapsedMs })
    else {
      if (message.ran > 0) this.#crashReports.reset()
      this.#size.learn(message)
      // Everything before `done` was received: an outcome that is missing was in a message that can't be read.
      for (const index of chunk.unreported) this.#settle(chunk, index, chunk.unreadableOutcome(index))
      this.#remove(thread, chunk)
    }
  }

  #onProgress({ index, fraction, note }: Extract<ThreadMessage, { type: 'progress' }>, chunk: Chunk): void {
    const call = chunk.calls[index]
    // A task that was asked to end may continue to report after its outcome.
    if (call !== undefined && !chunk.isSettled(index)) this.#options.listener.onProgress(call, fraction, note)
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

function failed(error: unknown, elapsedMs = Number.NaN): FailedOutcome {
  return { ok: false, error, elapsedMs }
}
