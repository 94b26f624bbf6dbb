/**
 * Runs calls on pool threads: `parallel` lanes, each of which takes a chunk from the source, has one thread run it, and
 * takes the next. Chunks grow until one lasts about 50 milliseconds. A lane that finds the source empty takes tasks that
 * have not begun from the others' chunks, so that no task waits behind a slow one while a thread is idle. A thread that
 * could run more asynchronous tasks at once than it has is sent further chunks.
 */

import type { Call, FailedOutcome, Outcome } from './call.js'
import { Casualties } from './casualties.js'
import { Chunk, type ChunkSettings } from './chunk.js'
import { ChunkSize } from './chunk-size.js'
import { refuseEntryScript } from './entry-script.js'
import { errorFromWire, errorToWire } from './error-wire.js'
import { FailedImports } from './failed-imports.js'
import { Flight } from './flight.js'
import { FlightWatch } from './flight-watch.js'
import { Flights } from './flights.js'
import type { Gate } from './gate.js'
import { Lanes, type LaneWork } from './lanes.js'
import { type ThreadListener, ThreadPool } from './pool.js'
import type { Run, RunningCall, RunOptions } from './run-options.js'
import type { ChunkMessage, ThreadMessage } from './thread-messages.js'
import { hasUncloneable, isCloneError, splitUncloneable } from './uncloneable.js'

/** Settings of a run on threads. */
export interface ThreadRunOptions<T> extends RunOptions<T> {
  /** Lanes, and so threads, at most. */
  readonly parallel: number
  /** Shared by all runs of one queue, so that they keep to `parallel` threads together. */
  readonly gate: Gate
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
  readonly #flights = new Flights()
  readonly #lanes: Lanes
  readonly #watch: FlightWatch
  /** Calls to be run again elsewhere: taken from a slow thread or left by a dead one. */
  #returned: Call[] = []
  readonly #size: ChunkSize
  readonly #casualties: Casualties
  readonly #failedImports: FailedImports
  #stopped = false
  readonly #report = (call: Call, outcome: Outcome): void => this.#options.listener.onOutcome(call, outcome)
  #fatal: { readonly thrown: unknown } | undefined
  #feed: NodeJS.Immediate | undefined

  constructor(options: ThreadRunOptions<T>) {
    this.#options = options
    const timeoutMs = options.timeoutSeconds === undefined ? undefined : options.timeoutSeconds * 1000
    const { idPrefix, postAll, wantsValues, concurrency, maxMemoryMb, moveInputs = false } = options
    this.#settings = { idPrefix, postAll, wantsValues, concurrency, maxMemoryMb, timeoutMs, moveInputs }
    // A task whose input was moved can't be taken back for another thread.
    this.#size = new ChunkSize(moveInputs ? 1 : options.maxChunk)
    this.#casualties = new Casualties(maxMemoryMb)
    this.#failedImports = new FailedImports(options.loadBackoff)
    this.#lanes = new Lanes(this.#laneWork(), options.gate)
    this.#watch = new FlightWatch(this.#flights, timeoutMs, {
      report: this.#report,
      abort: (thread, { id }, index, reason) =>
        this.#pool.send(thread, { type: 'abort', chunk: id, index, reason: errorToWire(reason) }),
      settleUnreadable: flight => this.#settleUnreadable(flight),
    })
    this.#pool = ThreadPool.join(this, maxMemoryMb)
    this.done = this.#run()
  }

  stop(): Call[] {
    if (this.#stopped) return []
    this.#stopped = true
    const withdrawn = this.#returned.concat(this.withdraw(0))
    this.#returned = []
    this.#lanes.wake()
    return withdrawn
  }

  withdraw(olderThanMs: number): Call[] {
    return this.#flights.withdraw(performance.now() - olderThanMs, olderThanMs > 0)
  }

  abort(call: Call, reason: Error): boolean {
    const found = this.#flights.find(call)
    if (found !== undefined && !found.chunk.withdrawAt(found.index)) {
      this.#watch.abort(found.flight, found.chunk, found.index, reason)
      return true
    }
    this.#returned = this.#returned.filter(returned => returned !== call)
    return false
  }

  resume(): void {
    this.#lanes.wake()
  }

  running(max: number): RunningCall[] {
    const calls = [...this.#flights].flatMap(({ chunks }) =>
      [...chunks.values()].flatMap(({ runningCalls, handedOutAtMs }) =>
        runningCalls.map(call => ({ call, startedAtMs: handedOutAtMs })),
      ),
    )
    return calls.slice(0, max)
  }

  async #run(): Promise<void> {
    const { source, parallel } = this.#options
    try {
      await this.#lanes.run(parallel)
    } finally {
      this.#watch.stop()
      clearImmediate(this.#feed)
      await source.stop()
      await this.#pool.printed()
      this.#pool.leave(this)
    }
    const failure = this.#fatal ?? source.error
    if (failure !== undefined) throw failure.thrown
  }

  #laneWork(): LaneWork {
    const run = this
    const { source, mayPull } = this.#options
    return {
      get isOver() {
        return run.#stopped || (source.ended && run.#flights.size === 0 && run.#returned.length === 0)
      },
      get hasWaiting() {
        return run.#flights.hasWaiting
      },
      take: lane => this.#take(this.#size.tasks, lane),
      peek: () => {
        if (mayPull?.() ?? true) source.peek?.()
      },
      fly: (calls, lane) => this.#fly(calls, lane),
      fail: thrown => this.#fail(thrown),
      woken: () => this.#feedSoon(),
      sourceReady: () => (source.ended || mayPull?.() === false ? undefined : source.ready()),
    }
  }

  /**
   * Up to `max` calls for a thread: returned ones first, then the source's, then what other threads have not begun.
   * @param feeding the flight that they are for, if it is in the air
   */
  #take(max: number, lane: number, feeding?: Flight): Call[] {
    if (this.#stopped) return []
    if (this.#returned.length > 0) return this.#returned.splice(0, max)
    const { source, toCall, mayPull } = this.#options
    const calls = (mayPull?.() ?? true) ? source.take(max, lane).map(toCall) : []
    // Checked before any of them is on its way, so that nothing has run when the message is about all of them.
    for (const { code } of calls) refuseEntryScript(code)
    if (calls.length > 0) return calls
    const stolen = this.#flights.steal(feeding === undefined ? Number.POSITIVE_INFINITY : max, feeding)
    if (stolen.length > 0) source.take(0, lane)
    return stolen
  }

  /** Sends further tasks to threads that could run more at once; later, so that idle threads come before them. */
  #feedSoon(): void {
    if (this.#settings.concurrency === 1) return
    this.#feed ??= setImmediate(() => {
      this.#feed = undefined
      for (const flight of [...this.#flights]) this.#feedFlight(flight)
    })
  }

  #fail(thrown: unknown): void {
    this.#fatal ??= { thrown }
    this.stop()
  }

  async #fly(calls: Call[], lane: number): Promise<void> {
    const loadable = this.#failedImports.withoutFailed(calls, this.#report)
    if (loadable.length === 0) return
    const chunk = new Chunk(loadable, this.#settings)
    const flight = new Flight(chunk, lane)
    this.#flights.add(flight)
    this.#watch.start()
    for (const call of loadable) this.#options.listener.onStart?.(call)
    // Waiting lanes may take their share of it.
    this.#lanes.wake()
    try {
      await this.#send(chunk, flight)
      flight.hasLanded = true
      // What was sent too late nobody has begun. The `done` of all else is on its way, by another port than the call's end.
      for (const late of [...flight.chunks.values()]) {
        this.#giveBack(late.withdraw(Number.POSITIVE_INFINITY))
        if (!late.hasBegun) this.#drop(flight, late)
      }
      await flight.empty()
    } catch (thrown) {
      const neverBegan = flight.thread === undefined && !flight.signal.aborted
      // An extra argument that is nested too deeply, or whose getter throws, fails with another error.
      if (isCloneError(thrown) || (neverBegan && hasUncloneable(chunk.calls))) this.#refuseUncloneable(chunk, thrown)
      else this.#afterDeath(flight, await this.#deathOf(flight, thrown))
    } finally {
      for (const left of [...flight.chunks.values()]) this.#drop(flight, left)
      this.#flights.drop(flight)
      if (this.#settings.concurrency > 1 && !this.#stopped) this.#options.source.take(0, this.#feedLane(lane))
      this.#lanes.wake()
    }
  }

  /** Why a flight's thread died. One that rejected its call and lives can't run tasks, and is stopped. */
  async #deathOf(flight: Flight, thrown: unknown): Promise<unknown> {
    if (flight.signal.aborted) return flight.signal.reason
    this.#pool.receiveAll()
    if (flight.thread !== undefined && (await this.#pool.stopThread(flight.thread))) flight.broken ??= { by: thrown }
    return thrown
  }

  async #send(chunk: Chunk, flight: Flight): Promise<void> {
    const message = chunk.message()
    const { moved } = chunk
    if (moved.length > 0) {
      try {
        return await this.#pool.run<ChunkMessage, void>('run', message, flight.signal, moved)
      } catch (thrown) {
        if (!isCloneError(thrown)) throw thrown
        // One of them can't be moved (the memory of a WebAssembly module, say), and none was: they are copied.
      }
    }
    await this.#pool.run<ChunkMessage, void>('run', message, flight.signal)
  }

  /** Sends a thread that could run more at once what there is. */
  #feedFlight(flight: Flight): void {
    const { free, thread, lane, chunks } = flight
    // With all its chunks done it is about to land.
    if (free === 0 || thread === undefined || chunks.size === 0 || flight.hasLanded || this.#stopped) return
    if (flight.hasFailedImport) return
    try {
      const taken = this.#take(Math.max(free, this.#size.tasks), this.#feedLane(lane), flight)
      const calls = this.#failedImports.withoutFailed(taken, this.#report)
      if (calls.length === 0) {
        this.#lanes.watch()
        return
      }
      const chunk = new Chunk(calls, this.#settings)
      this.#flights.addChunk(flight, chunk)
      for (const call of calls) this.#options.listener.onStart?.(call)
      try {
        this.#pool.send(thread, { type: 'more', flight: flight.id, chunk: chunk.message() })
        flight.free = 0
        flight.sent++
      } catch (thrown) {
        this.#refuseUncloneable(chunk, thrown)
        this.#drop(flight, chunk)
      }
    } catch (thrown) {
      this.#fail(thrown)
    }
  }

  /** What a flight asks for besides its first chunk is asked for under a number of its own. */
  #feedLane(lane: number): number {
    return this.#options.parallel + lane
  }

  #drop(flight: Flight, chunk: Chunk): void {
    chunk.reportSilentSuccesses(this.#report)
    this.#flights.dropChunk(flight, chunk)
  }

  #giveBack(calls: readonly Call[]): void {
    if (this.#stopped) return
    for (const call of calls) this.#returned.push(call)
  }

  /** A thread died: tasks that ran in it failed, those that had not begun are run elsewhere. */
  #afterDeath(flight: Flight, death: unknown): void {
    this.#pool.receiveAll()
    if (flight.hasUnreadable) this.#settleUnreadable(flight)
    const { waiting, lost, notLoaded, fatal } = this.#casualties.bury(flight, death)
    const nowMs = performance.now()
    for (const { chunk, index, cause } of lost) this.#settle(chunk, index, failed(cause, nowMs - chunk.sinceMs))
    for (const call of waiting) {
      if (notLoaded !== undefined && call.code.url === notLoaded.url) this.#notLoaded(call, notLoaded.error)
      else this.#giveBack([call])
    }
    if (fatal !== undefined) this.#fail(fatal)
  }

  /** The file of a call that has not begun could not be loaded. */
  #notLoaded(call: Call, error: unknown): void {
    const outcome = this.#failedImports.outcome(call, error)
    if (outcome === undefined) this.#giveBack([call])
    else this.#report(call, outcome)
  }

  /** A chunk can't be posted: the calls to blame fail, the others go with the next one. */
  #refuseUncloneable(chunk: Chunk, thrown: unknown): void {
    const { cloneable, refused } = splitUncloneable(chunk.withdraw(Number.POSITIVE_INFINITY))
    if (refused.length === 0) this.#fail(thrown)
    this.#giveBack(cloneable)
    for (const { call, error } of refused) this.#report(call, failed(error))
  }

  #settle(chunk: Chunk, index: number, outcome: Outcome): void {
    const call = chunk.calls[index]
    if (call === undefined || !chunk.settle(index)) return
    const asked = chunk.abortedFor(index)
    this.#failedImports.loaded(call)
    // A task whose time is up failed, even if it ends well a moment later because its signal told it to.
    this.#report(call, asked === undefined ? outcome : failed(asked.reason, outcome.elapsedMs))
  }

  /**
   * Tasks that have ended by their slots and whose outcome, posted before, is not among all that was received since: it
   * was in a message that can't be read.
   */
  #settleUnreadable(flight: Flight): void {
    const unheard = [...flight.chunks.values()].map(chunk => ({ chunk, indexes: chunk.unheard }))
    this.#pool.receiveAll()
    for (const { chunk, indexes } of unheard) {
      for (const index of indexes) this.#settle(chunk, index, chunk.unreadableOutcome(index))
    }
  }

  onMessage(message: ThreadMessage, thread: number): void {
    if (message.type === 'stray') {
      this.#options.listener.onStray(message.taskId, errorFromWire(message.error))
    } else if (message.type === 'began') {
      const flight = this.#flights.withId(message.flight)
      if (flight !== undefined) flight.thread = thread
    } else if (message.type === 'hungry') {
      const flight = this.#flights.withId(message.flight)
      if (flight === undefined || flight.sent !== message.received) return
      flight.free = message.free
      this.#feedSoon()
    } else if (message.type === 'ending') {
      // A task that had ended may still do it, by a timer it left behind.
      const flight = this.#flights.carrying(message.chunk)?.flight ?? this.#flights.inThread(thread)
      flight?.end({ chunk: message.chunk, index: message.index, error: errorFromWire(message.error) })
    } else if (message.type === 'broken') {
      const flight = this.#flights.inThread(thread)
      if (flight !== undefined) flight.broken = { by: errorFromWire(message.error) }
    } else if (message.type !== 'printed' && message.type !== 'slice-not-loaded') {
      const carried = this.#flights.carrying(message.chunk)
      if (carried !== undefined) this.#onChunkMessage(message, carried.flight, carried.chunk)
    }
  }

  #onChunkMessage(message: ChunkThreadMessage, flight: Flight, chunk: Chunk): void {
    const { type } = message
    if (type === 'loading') flight.load(message.url)
    else if (type === 'progress') this.#onProgress(message, chunk)
    else if (type === 'log') {
      const call = chunk.calls[message.index]
      if (call !== undefined) this.#options.listener.onLog(call, message.text)
    } else if (type === 'failed' && message.isNotLoaded) {
      flight.hasFailedImport = true
      const call = chunk.calls[message.index]
      if (call !== undefined && chunk.settle(message.index)) this.#notLoaded(call, errorFromWire(message.error))
    } else if (type === 'failed')
      this.#settle(chunk, message.index, failed(errorFromWire(message.error), message.elapsedMs))
    else if (type === 'succeeded')
      this.#settle(chunk, message.index, { ok: true, value: message.value, elapsedMs: message.elapsedMs })
    else {
      if (message.ran > 0) this.#casualties.somethingRan()
      this.#size.learn(message)
      // Everything before `done` was received: an outcome that is missing was in a message that can't be read.
      for (const index of chunk.unheard) this.#settle(chunk, index, chunk.unreadableOutcome(index))
      this.#drop(flight, chunk)
    }
  }

  #onProgress({ index, fraction, note }: Extract<ThreadMessage, { type: 'progress' }>, chunk: Chunk): void {
    const call = chunk.calls[index]
    // One that was told to end may go on reporting after its outcome.
    if (call !== undefined && !chunk.isSettled(index)) this.#options.listener.onProgress(call, fraction, note)
  }

  onStillbirth(error: Error): boolean {
    const waiting = [...this.#flights].filter(flight => flight.thread === undefined)
    for (const flight of waiting) flight.kill(error)
    return waiting.length > 0
  }

  onUnreadable(thread: number): void {
    const flight = this.#flights.inThread(thread)
    if (flight !== undefined) flight.hasUnreadable = true
  }

  async renew(chunk: number, index: number, seconds: number): Promise<void> {
    const call = this.#flights.call(chunk, index)
    if (call !== undefined) await this.#options.listener.onRenew(call, seconds)
  }
}

function failed(error: unknown, elapsedMs = Number.NaN): FailedOutcome {
  return { ok: false, error, elapsedMs }
}
