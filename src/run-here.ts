/** Runs calls in the calling thread: `parallel: 0`. */
import { format } from 'node:util'
import type { Call, Outcome } from './call.js'
import { runInContext, type TaskContext } from './context.js'
import { ProgressThrottle } from './progress-throttle.js'
import type { Run, RunListener, RunOptions } from './run-options.js'
import { callCode } from './task.js'

/** The event loop gets a turn at least this often, so that signals and timers are heard between tasks. Milliseconds. */
const turnMs = 10

/** Tasks are taken in small batches, for the same reason as `turnMs`. */
const batch = 256

export class HereRun implements Run {
  readonly done: Promise<void>
  readonly #options: RunOptions
  #calls: Call[] = []
  #next = 0
  #stopped = false
  #fatal: { readonly thrown: unknown } | undefined
  #lastTurnMs = performance.now()
  readonly #resumed: (() => void)[] = []

  constructor(options: RunOptions) {
    this.#options = options
    this.done = this.#run()
  }

  stop(): void {
    this.#stopped = true
    this.resume()
  }

  resume(): void {
    for (const wake of this.#resumed.splice(0)) wake()
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
    const { listener, idPrefix } = this.#options
    try {
      for (let call = await this.#nextCall(); call !== undefined && !this.#stopped; call = await this.#nextCall()) {
        // Tasks that return no promise are run in a row: an await between them would cost more than they do.
        for (let now: Call | undefined = call; now !== undefined; now = this.#nextNow()) {
          const running = runCall(now, idPrefix, listener)
          listener.onOutcome(now, running instanceof Promise ? await running : running)
        }
      }
    } catch (thrown) {
      // Kept until the other tasks that run have ended.
      this.#fatal ??= { thrown }
      this.stop()
    }
  }

  /** The next call that is there, if the event loop can wait. */
  #nextNow(): Call | undefined {
    if (this.#stopped || this.#next >= this.#calls.length || performance.now() - this.#lastTurnMs > turnMs)
      return undefined
    return this.#calls[this.#next++]
  }

  async #nextCall(): Promise<Call | undefined> {
    const { source, toCall, mayPull } = this.#options
    while (!this.#stopped) {
      if (performance.now() - this.#lastTurnMs > turnMs) {
        await new Promise<void>(resolve => setImmediate(resolve))
        this.#lastTurnMs = performance.now()
        continue
      }
      if (this.#next < this.#calls.length) return this.#calls[this.#next++]
      if (mayPull?.() === false) {
        await new Promise<void>(resolve => this.#resumed.push(resolve))
        continue
      }
      this.#calls = source.take(batch).map(toCall)
      this.#next = 0
      if (this.#calls.length > 0) continue
      if (source.ended) return undefined
      await source.ready()
    }
    return undefined
  }
}

/** Runs one call; a promise only if the task returns one. */
function runCall(call: Call, idPrefix: string, listener: RunListener): Outcome | Promise<Outcome> {
  const startMs = performance.now()
  try {
    const value = runInContext(new HereContext(call, idPrefix, listener), () => invoke(call))
    if (typeof (value as { then?: unknown } | null | undefined)?.then !== 'function') {
      return { ok: true, value, elapsedMs: performance.now() - startMs }
    }
    return Promise.resolve(value as PromiseLike<unknown>).then(
      settled => ({ ok: true, value: settled, elapsedMs: performance.now() - startMs }),
      (error: unknown) => ({ ok: false, error, elapsedMs: performance.now() - startMs }),
    )
  } catch (error) {
    return { ok: false, error, elapsedMs: performance.now() - startMs }
  }
}

function invoke({ code, input, kwargs, extra }: Call): unknown {
  // As in a thread, a task may do with its arguments what it likes: they are a copy, and the caller's stay as they are.
  const values = Array.isArray(input) ? input : Object.values(input)
  const own = values.some(isObject) ? structuredClone(input) : input
  return callCode(code, own, kwargs === undefined ? undefined : structuredClone(kwargs), extra)
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

class HereContext implements TaskContext {
  readonly #call: Call
  readonly #idPrefix: string
  readonly #listener: RunListener
  #abort: AbortController | undefined
  #throttle: ProgressThrottle | undefined

  constructor(call: Call, idPrefix: string, listener: RunListener) {
    this.#call = call
    this.#idPrefix = idPrefix
    this.#listener = listener
  }

  get id(): string {
    return `${this.#idPrefix}${this.#call.idSuffix}`
  }

  get attempt(): number {
    return this.#call.attempt
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    return this.#abort.signal
  }

  async renew(seconds: number): Promise<void> {
    await this.#listener.onRenew(this.#call, seconds)
  }

  progress(fraction: number, note?: string): void {
    this.#throttle ??= new ProgressThrottle()
    if (this.#throttle.admits(fraction, note)) this.#listener.onProgress(this.#call, fraction, note)
  }

  log(...values: unknown[]): void {
    this.#listener.onLog(this.#call, format(...values))
  }
}
