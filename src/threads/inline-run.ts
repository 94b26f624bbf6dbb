/** Runs calls in the calling thread: `parallel: 0`. */

// The global `performance` is a getter.
import { performance } from 'node:perf_hooks'
import { isPromiseLike } from '../errors/thrown.js'
import { logLine } from '../progress/log-line.js'
import { ProgressThrottle } from '../progress/progress-throttle.js'
import { callCode } from '../tasks/call-code.js'
import { runInContext, type TaskContext } from '../tasks/context.js'
import type { CallTracing } from '../tracing/call-tracing.js'
import type { Call, Outcome } from './call.js'
import { ChunkSize } from './chunk-size.js'
import type { Run, RunListener, RunningCall, RunOptions } from './run-options.js'

/** The event loop gets a turn at least this often, so that signals and timers run between tasks. Milliseconds. */
const turnMs = 10

/** Time for a task to end after its `signal` was aborted; a later result is discarded. Milliseconds. */
const abortGraceMs = 250

export class InlineRun<T> implements Run {
  readonly done: Promise<void>
  readonly #options: RunOptions<T>
  readonly #size: ChunkSize
  #calls: Call[] = []
  #next = 0
  /** Time at which the current calls were taken, by `performance.now()`. */
  #takenMs = 0
  /** Calls that await something. Nothing else can happen while a task runs without that. */
  readonly #running = new Map<Call, InlineContext>()
  #stopped = false
  #fatal: { readonly thrown: unknown } | undefined
  #lastTurnMs = performance.now()
  /** Wake-ups of loops that wait for tasks, or until tasks may be pulled. */
  readonly #paused = new Set<() => void>()

  constructor(options: RunOptions<T>) {
    this.#options = options
    this.#size = new ChunkSize(options.maxChunk)
    this.done = this.#run()
  }

  stop(): Call[] {
    this.#stopped = true
    this.resume()
    return this.withdraw(0)
  }

  resume(): void {
    for (const wake of [...this.#paused]) wake()
  }

  withdraw(olderThanMs: number): Call[] {
    return performance.now() - this.#takenMs < olderThanMs ? [] : this.#calls.splice(this.#next)
  }

  abort(call: Call, reason: Error): boolean {
    const running = this.#running.get(call)
    if (running !== undefined) {
      running.abort(reason)
      return true
    }
    const index = this.#calls.indexOf(call, this.#next)
    if (index >= 0) this.#calls.splice(index, 1)
    return false
  }

  running(max: number): RunningCall[] {
    return [...this.#running].slice(0, max).map(([call, { startedAtMs }]) => ({ call, startedAtMs }))
  }

  async #run(): Promise<void> {
    const { source, concurrency } = this.#options
    try {
      await Promise.all(Array.from({ length: concurrency }, () => this.#drain()))
    } finally {
      this.#stopped = true
      await source.stop()
    }
    const failure = this.#fatal ?? source.error
    if (failure !== undefined) throw failure.thrown
  }

  async #drain(): Promise<void> {
    const { listener, idPrefix, tracing } = this.#options
    try {
      while (await this.#hasNext()) {
        // Tasks that return no promise run without an await between them, which would cost more than they do.
        for (let now = this.#nextNow(); now !== undefined; now = this.#nextNow()) {
          listener.onStart?.(now)
          const context = new InlineContext(now, idPrefix, listener, tracing)
          const running = tracing === undefined ? runCall(now, context) : tracing.run(now, () => runCall(now, context))
          const outcome = isPromiseLike(running) ? await this.#await(now, context, running) : running
          context.ended = true
          // A task that was asked to end failed, whatever it returned.
          listener.onOutcome(
            now,
            context.aborted ? { ok: false, error: context.signal.reason, elapsedMs: outcome.elapsedMs } : outcome,
          )
        }
      }
    } catch (thrown) {
      // Kept until the other tasks that run have ended.
      this.#fatal ??= { thrown }
      this.stop()
    }
  }

  async #await(call: Call, context: InlineContext, running: Promise<Outcome>): Promise<Outcome> {
    this.#running.set(call, context)
    const outcome = await context.endOf(running)
    this.#running.delete(call)
    return outcome
  }

  /** The next call that is there, if the event loop can wait. */
  #nextNow(): Call | undefined {
    if (this.#stopped || this.#next >= this.#calls.length || performance.now() - this.#lastTurnMs > turnMs)
      return undefined
    return this.#calls[this.#next++]
  }

  /** Waits for calls; false when there will be none. */
  async #hasNext(): Promise<boolean> {
    const { source, toCall, mayPull } = this.#options
    while (!this.#stopped) {
      if (performance.now() - this.#lastTurnMs > turnMs) {
        await new Promise<void>(resolve => setImmediate(resolve))
        this.#lastTurnMs = performance.now()
      } else if (this.#next < this.#calls.length) {
        return true
      } else if (mayPull?.() === false) {
        await this.#pause()
      } else {
        this.#size.learn({ elapsedMs: performance.now() - this.#takenMs, ran: this.#calls.length })
        this.#calls = source.take(this.#size.tasks, 0).map(toCall)
        this.#next = 0
        this.#takenMs = performance.now()
        if (this.#calls.length > 0) continue
        if (source.ended) return false
        await this.#pause(source.ready())
      }
    }
    return false
  }

  /** Waits for {@link resume} or {@link stop}, or until something is ready. */
  #pause(ready?: Promise<void>): Promise<void> {
    return new Promise(resolve => {
      const wake = () => {
        this.#paused.delete(wake)
        resolve()
      }
      this.#paused.add(wake)
      void ready?.then(wake)
    })
  }
}

/** Runs one call; a promise only if the task returns one. */
function runCall(call: Call, context: InlineContext): Outcome | Promise<Outcome> {
  const startMs = performance.now()
  try {
    return runInContext<Outcome | Promise<Outcome>>(context, () => {
      const value = invoke(call)
      if (!isPromiseLike(value)) return { ok: true, value, elapsedMs: performance.now() - startMs }
      // Still in the task's context: a lazy thenable (e.g. a query builder) starts its work when it is awaited.
      return Promise.resolve(value).then(
        settled => ({ ok: true, value: settled, elapsedMs: performance.now() - startMs }),
        (error: unknown) => ({ ok: false, error, elapsedMs: performance.now() - startMs }),
      )
    })
  } catch (error) {
    return { ok: false, error, elapsedMs: performance.now() - startMs }
  }
}

function invoke({ code, input, kwargs, extra }: Call): unknown {
  // As in a thread, a task may change its arguments: they are a copy of the caller's.
  const values = Array.isArray(input) ? input : Object.values(input)
  const own = values.some(isObject) ? structuredClone(input) : input
  return callCode(code, own, kwargs === undefined ? undefined : structuredClone(kwargs), extra)
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

class InlineContext implements TaskContext {
  readonly #call: Call
  readonly #idPrefix: string
  readonly #listener: RunListener
  readonly #tracing: CallTracing<Call> | undefined
  #abort: AbortController | undefined
  #throttle: ProgressThrottle | undefined
  #giveUp: (() => void) | undefined
  #givingUp: NodeJS.Timeout | undefined
  /** Milliseconds since 1970; set for a task that awaits something. */
  startedAtMs = Number.NaN
  /** Its outcome was reported: progress after that, of something it left behind, belongs to no task. */
  ended = false

  constructor(call: Call, idPrefix: string, listener: RunListener, tracing: CallTracing<Call> | undefined) {
    this.#call = call
    this.#idPrefix = idPrefix
    this.#listener = listener
    this.#tracing = tracing
  }

  get id(): string {
    return `${this.#idPrefix}${this.#call.idSuffix}`
  }

  get attempt(): number {
    return this.#call.attempt
  }

  get traceparent(): string | undefined {
    return this.#tracing?.traceparentOf(this.#call)
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    return this.#abort.signal
  }

  get aborted(): boolean {
    return this.#abort?.signal.aborted === true
  }

  abort(reason: Error): void {
    this.#abort ??= new AbortController()
    this.#abort.abort(reason)
    if (this.#giveUp !== undefined) this.#givingUp ??= setTimeout(this.#giveUp, abortGraceMs)
  }

  /** The task's outcome. A task that was asked to end and does not is abandoned: nothing can stop it in this thread. */
  async endOf(running: Promise<Outcome>): Promise<Outcome> {
    const startMs = performance.now()
    this.startedAtMs = Date.now()
    const givenUp = new Promise<Outcome>(resolve => {
      this.#giveUp = () => resolve({ ok: false, error: this.signal.reason, elapsedMs: performance.now() - startMs })
    })
    try {
      return await Promise.race([running, givenUp])
    } finally {
      clearTimeout(this.#givingUp)
    }
  }

  async renew(seconds: number): Promise<void> {
    await this.#listener.onRenew(this.#call, seconds)
  }

  progress(fraction: number, note?: string): void {
    if (this.ended) return
    this.#throttle ??= new ProgressThrottle()
    const progress = this.#throttle.admit(fraction, note)
    if (progress !== undefined) this.#listener.onProgress(this.#call, progress.fraction, progress.note)
  }

  log(...values: unknown[]): void {
    this.#listener.onLog(this.#call, logLine(values))
  }
}
