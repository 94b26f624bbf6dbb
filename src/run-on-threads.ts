/**
 * Runs calls on pool threads: `parallel` lanes, each of which takes a chunk from the source, has one thread run it, and
 * takes the next. Chunks grow until one lasts about ten milliseconds. A lane that finds the source empty takes tasks that
 * have not begun from the others' chunks, so that no task waits behind a slow one while a thread is idle.
 */
import type { Call, FailedOutcome } from './call.js'
import { Chunk, type ChunkSettings } from './chunk.js'
import { ChunkSize } from './chunk-size.js'
import { refuseEntryScript } from './entry-script.js'
import { errorFromWire, errorToWire } from './error-wire.js'
import type { Gate } from './gate.js'
import { type ThreadListener, ThreadPool } from './pool.js'
import type { Run, RunOptions } from './run-options.js'
import type { ChunkMessage, ChunkReport, ThreadMessage } from './thread-messages.js'

/** Settings of a run on threads. */
export interface ThreadRunOptions<T> extends RunOptions<T> {
  /** Lanes, and so threads, at most. */
  readonly parallel: number
  /** Shared by all runs of one queue, so that they keep to `parallel` threads together. */
  readonly gate: Gate
  readonly timeoutSeconds: number | undefined
  readonly maxMemoryMb: number | undefined
}

/** Threads that die one after the other before any task of their chunk began: after so many the run gives up. */
const barrenDeathLimit = 3

/** How long a task that was asked to end by its `signal` may take to do so before its thread is stopped. Milliseconds. */
const abortGraceMs = 250

/** How soon an idle lane looks again for tasks that a slow thread has not begun. Milliseconds. */
const lookAgainMs = 10

interface Flight {
  readonly chunk: Chunk
  /** When it was handed out, by `performance.now()`. */
  readonly sinceMs: number
  /** Stops the thread. */
  readonly kill: AbortController
  thread: number | undefined
}

export class ThreadRun<T> implements Run, ThreadListener {
  readonly done: Promise<void>
  readonly #options: ThreadRunOptions<T>
  readonly #settings: ChunkSettings
  readonly #pool: ThreadPool
  readonly #flights = new Map<number, Flight>()
  /** Calls to be run again elsewhere: taken from a slow thread or left by a dead one. */
  #returned: Call[] = []
  readonly #size: ChunkSize
  #barrenDeaths = 0
  #stopped = false
  #fatal: { readonly thrown: unknown } | undefined
  #waiters: (() => void)[] = []
  #watch: NodeJS.Timeout | undefined
  #look: NodeJS.Timeout | undefined

  constructor(options: ThreadRunOptions<T>) {
    this.#options = options
    const timeoutMs = options.timeoutSeconds === undefined ? undefined : options.timeoutSeconds * 1000
    const { idPrefix, postAll, concurrency, maxMemoryMb } = options
    this.#settings = { idPrefix, postAll, concurrency, maxMemoryMb, timeoutMs }
    this.#size = new ChunkSize(options.maxChunk)
    this.#pool = ThreadPool.join(this, maxMemoryMb)
    this.done = this.#run()
  }

  stop(): Call[] {
    if (this.#stopped) return []
    this.#stopped = true
    const withdrawn = this.#returned.concat(this.withdraw(0))
    this.#returned = []
    this.#wakeAll()
    return withdrawn
  }

  withdraw(olderThanMs: number): Call[] {
    const beforeMs = performance.now() - olderThanMs
    const withdrawn: Call[] = []
    for (const { chunk, sinceMs } of this.#flights.values()) {
      if (sinceMs > beforeMs) continue
      // Else a thread that takes longer to start than that would never have anything to do.
      const kept = olderThanMs > 0 && !chunk.hasBegun ? 1 : 0
      withdrawn.push(...chunk.withdraw(chunk.waitingCount - kept))
    }
    return withdrawn
  }

  abort(call: Call, reason: Error): boolean {
    for (const flight of this.#flights.values()) {
      const index = flight.chunk.indexOf(call)
      // Withdrawn: another chunk may have it now.
      if (index < 0 || flight.chunk.isWithdrawn(index)) continue
      if (flight.chunk.withdrawAt(index)) return false
      this.#abort(flight, index, reason, performance.timeOrigin + performance.now())
      this.#watchTimes()
      return true
    }
    this.#returned = this.#returned.filter(returned => returned !== call)
    return false
  }

  resume(): void {
    this.#wakeAll()
  }

  async #run(): Promise<void> {
    const { source, parallel } = this.#options
    try {
      await Promise.all(Array.from({ length: parallel }, (_, lane) => this.#lane(lane)))
    } finally {
      clearTimeout(this.#watch)
      clearTimeout(this.#look)
      await source.stop()
      this.#pool.leave(this)
    }
    const failure = this.#fatal ?? source.error
    if (failure !== undefined) throw failure.thrown
  }

  async #lane(lane: number): Promise<void> {
    for (;;) {
      let calls: Call[] = []
      const pass = await this.#options.gate.enter()
      try {
        calls = this.#take(lane)
        if (calls.length > 0) await this.#fly(calls)
      } catch (thrown) {
        this.#fail(thrown)
      } finally {
        pass.leave()
      }
      if (calls.length > 0) continue
      if (this.#stopped || (this.#options.source.ended && this.#flights.size === 0 && this.#returned.length === 0)) {
        this.#wakeAll()
        return
      }
      await this.#somethingNew()
    }
  }

  /** The next calls for an idle lane: returned ones first, then the source's, then what others have not begun. */
  #take(lane: number): Call[] {
    if (this.#stopped) return []
    if (this.#returned.length > 0) return this.#returned.splice(0, this.#size.tasks)
    const { source, toCall } = this.#options
    const calls = this.#mayPull() ? source.take(this.#size.tasks, lane).map(toCall) : []
    if (calls.length > 0) return calls
    const stolen = this.#steal()
    if (stolen.length > 0) source.take(0, lane)
    return stolen
  }

  #steal(): Call[] {
    let fullest: Chunk | undefined
    let most = 0
    for (const { chunk } of this.#flights.values()) {
      const waiting = chunk.waitingCount
      // A thread that has begun none of its tasks is only starting: it would be no sooner done elsewhere.
      if (waiting > most && chunk.hasBegun) {
        fullest = chunk
        most = waiting
      }
    }
    return fullest?.withdraw(Math.ceil(most / 2)) ?? []
  }

  #mayPull(): boolean {
    return this.#options.mayPull?.() ?? true
  }

  #somethingNew(): Promise<void> {
    const { source } = this.#options
    const woken = new Promise<void>(resolve => this.#waiters.push(resolve))
    this.#lookAgain()
    return source.ended || !this.#mayPull() ? woken : Promise.race([woken, source.ready()])
  }

  /** Idle lanes look again for tasks to steal: nobody tells when a thread begins its first one. */
  #lookAgain(): void {
    const stealable = [...this.#flights.values()].some(({ chunk }) => chunk.waitingCount > 0)
    if (stealable)
      this.#look ??= setTimeout(() => {
        this.#look = undefined
        this.#wakeAll()
      }, lookAgainMs)
  }

  #wakeAll(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }

  #fail(thrown: unknown): void {
    this.#fatal ??= { thrown }
    this.stop()
  }

  async #fly(calls: Call[]): Promise<void> {
    for (const call of calls) refuseEntryScript(call.code)
    const chunk = new Chunk(calls, this.#settings)
    const flight: Flight = { chunk, sinceMs: performance.now(), kill: new AbortController(), thread: undefined }
    this.#flights.set(chunk.id, flight)
    if (this.#settings.timeoutMs !== undefined) this.#watchTimes()
    for (const call of calls) this.#options.listener.onStart?.(call)
    // Waiting lanes may take their share of it.
    this.#wakeAll()
    try {
      const report = await this.#pool.run<ChunkMessage, ChunkReport>('run', chunk.message(), flight.kill.signal)
      this.#pool.receiveAll()
      this.#size.learn(report)
      if (report.ran > 0) this.#barrenDeaths = 0
    } catch (death) {
      this.#pool.receiveAll()
      this.#afterDeath(chunk, death)
    } finally {
      this.#flights.delete(chunk.id)
      chunk.reportSilentSuccesses((call, outcome) => this.#options.listener.onOutcome(call, outcome))
      this.#wakeAll()
    }
  }

  /** A thread died: tasks that ran in it failed, those that had not begun are run elsewhere. */
  #afterDeath(chunk: Chunk, death: unknown): void {
    const { waiting, running } = chunk.aftermath()
    for (const index of running) this.#settle(chunk, index, failed(this.#causeOfDeath(chunk, index, death)))
    if (!this.#stopped) this.#returned.push(...waiting)
    if (running.length > 0 || waiting.length === 0) {
      this.#barrenDeaths = 0
    } else if (++this.#barrenDeaths >= barrenDeathLimit) {
      const message = `Expected a thread to load the code of ${chunk.codeNames}, but ${barrenDeathLimit} in a row died before any task began`
      this.#fail(new Error(message, { cause: death }))
    }
  }

  #causeOfDeath(chunk: Chunk, index: number, death: unknown): unknown {
    const asked = chunk.abortedFor(index)
    if (asked !== undefined) return asked.reason
    if (chunk.endings.has(index)) return chunk.endings.get(index)
    const [culprit] = chunk.endings.values()
    if (culprit === undefined) return explainDeath(death, this.#settings.maxMemoryMb)
    return new Error('The thread was ended by another task that ran in it', { cause: culprit })
  }

  #settle(chunk: Chunk, index: number, outcome: { ok: true; value: unknown; elapsedMs: number } | FailedOutcome): void {
    const call = chunk.calls[index]
    if (call === undefined || !chunk.settle(index)) return
    const asked = chunk.abortedFor(index)
    // A task whose time is up failed, even if it ends well a moment later because its signal told it to.
    this.#options.listener.onOutcome(call, asked === undefined ? outcome : failed(asked.reason, outcome.elapsedMs))
  }

  /** Looks now and then for tasks whose time is up: first their signal is aborted, then their thread is stopped. */
  #watchTimes(): void {
    const { timeoutMs = Number.POSITIVE_INFINITY } = this.#settings
    if (this.#watch !== undefined) return
    const lookMs = Math.min(50, Math.max(5, timeoutMs / 10))
    this.#watch = setTimeout(() => {
      this.#watch = undefined
      const nowMs = performance.timeOrigin + performance.now()
      for (const flight of this.#flights.values()) this.#endOverdue(flight, timeoutMs, nowMs)
      if (this.#flights.size > 0) this.#watchTimes()
    }, lookMs)
  }

  #endOverdue(flight: Flight, timeoutMs: number, nowMs: number): void {
    const running = flight.chunk.running(nowMs)
    for (const { index, ageMs } of running) {
      if (ageMs >= timeoutMs) this.#abort(flight, index, timeoutError(timeoutMs), nowMs)
    }
    // With several tasks in the thread it is stopped only when the time of each is up: none dies for another's fault.
    const lost = running.every(({ index }) => {
      const asked = flight.chunk.abortedFor(index)
      return asked !== undefined && nowMs - asked.atMs >= abortGraceMs
    })
    if (running.length > 0 && lost) flight.kill.abort()
  }

  #abort(flight: Flight, index: number, reason: Error, nowMs: number): void {
    if (!flight.chunk.abort(index, reason, nowMs) || flight.thread === undefined) return
    this.#pool.send(flight.thread, { type: 'abort', chunk: flight.chunk.id, index, reason: errorToWire(reason) })
  }

  onMessage(message: ThreadMessage, thread: number): void {
    if (message.type === 'stray') {
      this.#options.listener.onStray(message.taskId, errorFromWire(message.error))
      return
    }
    const flight = this.#flights.get(message.chunk)
    if (flight === undefined) return
    const { chunk } = flight
    if (message.type === 'began') flight.thread = thread
    else if (message.type === 'ending') chunk.endings.set(message.index, errorFromWire(message.error))
    else if (message.type === 'failed')
      this.#settle(chunk, message.index, failed(errorFromWire(message.error), message.elapsedMs))
    else this.#settle(chunk, message.index, { ok: true, value: message.value, elapsedMs: message.elapsedMs })
  }

  progress(chunk: number, index: number, fraction: number, note: string | undefined): void {
    const call = this.#flights.get(chunk)?.chunk.calls[index]
    if (call !== undefined) this.#options.listener.onProgress(call, fraction, note)
  }

  log(chunk: number, index: number, text: string): void {
    const call = this.#flights.get(chunk)?.chunk.calls[index]
    if (call !== undefined) this.#options.listener.onLog(call, text)
  }

  async renew(chunk: number, index: number, seconds: number): Promise<void> {
    const call = this.#flights.get(chunk)?.chunk.calls[index]
    if (call !== undefined) await this.#options.listener.onRenew(call, seconds)
  }
}

function failed(error: unknown, elapsedMs = Number.NaN): FailedOutcome {
  return { ok: false, error, elapsedMs }
}

function timeoutError(timeoutMs: number): Error {
  const error = new Error(`Expected the task to end within timeoutSeconds (${timeoutMs / 1000} s), it was stopped`)
  error.name = 'TimeoutError'
  return error
}

function explainDeath(death: unknown, maxMemoryMb: number | undefined): unknown {
  if ((death as { code?: unknown } | undefined)?.code !== 'ERR_WORKER_OUT_OF_MEMORY') {
    return new Error('The thread died while the task ran', { cause: death })
  }
  const limit = maxMemoryMb === undefined ? "Node's heap limit for a thread" : `maxMemoryMb (${maxMemoryMb} MB)`
  return new Error(`The task needed more memory than ${limit}; its thread was stopped`, { cause: death })
}
