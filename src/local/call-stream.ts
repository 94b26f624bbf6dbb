/** Single calls that share one run: `LocalTaskQueue.run`. */

import { toError } from '../errors/thrown.js'
import type { Call } from '../threads/call.js'
import type { Source } from '../threads/run-options.js'
import { onAbort } from '../time/on-abort.js'
import { CallerContexts } from './caller-tracing.js'
import { abortError, type LocalRun, type LocalWork, type RunCallbacks } from './local-run.js'

/** Starts the run of a stream. */
export type StartRun = (work: LocalWork<Call>, callbacks: RunCallbacks) => LocalRun

/** The outcome of a call of a stream. */
export type CallEnd =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown; readonly idPrefix: string }

/** A call whose promise has not been settled. */
interface Pending {
  readonly call: Call
  readonly resolve: (end: CallEnd) => void
  readonly reject: (reason: unknown) => void
  readonly stopListening: () => void
  /** Set once the running task was asked to end. */
  aborted?: { readonly reason: unknown }
}

/**
 * Takes calls one by one and runs them as one run, so that they are sent in chunks and share the threads. The run, with
 * its listeners, ends as soon as no call is left; a later call needs a new stream.
 */
export class CallStream {
  readonly #source = new CallSource()
  readonly #contexts = new CallerContexts()
  readonly #start: StartRun
  #run: LocalRun | undefined
  /** By the call's number. */
  readonly #pending = new Map<number, Pending>()
  #count = 0
  #checking = false

  constructor(start: StartRun) {
    this.#start = start
  }

  /** True if no further call can be added. */
  get isOver(): boolean {
    return this.#source.ended
  }

  /** A number for a call, its `idSuffix`. */
  nextOrdinal(): number {
    return this.#count++
  }

  /** Runs a call that has a number of this stream. Rejects if it is aborted, or not begun. */
  add(call: Call, signal: AbortSignal | undefined): Promise<CallEnd> {
    const ordinal = call.idSuffix as number
    this.#contexts.note(call)
    return new Promise((resolve, reject) => {
      const stopListening = onAbort(signal, () => this.#abort(ordinal, signal?.reason))
      this.#pending.set(ordinal, { call, resolve, reject, stopListening })
      this.#source.push(call)
      this.#run ??= this.#begin()
    })
  }

  #begin(): LocalRun {
    const run = this.#start(
      { source: this.#source, toCall: call => call, total: undefined, tracing: this.#contexts.tracing },
      {
        postAll: true,
        endsOnClose: false,
        onOutcome: (call, outcome, idPrefix) => {
          const pending = this.#settle(call.idSuffix as number)
          if (pending === undefined) return
          if (pending.aborted !== undefined) pending.reject(pending.aborted.reason)
          else pending.resolve(outcome.ok ? outcome : { ok: false, error: outcome.error, idPrefix })
        },
      },
    )
    // Calls that are left then were not begun: the run was stopped, or failed.
    run.finished.then(
      stoppedBy => this.#rejectAll(() => abortError(stoppedBy)),
      (thrown: unknown) => this.#rejectAll(() => thrown),
    )
    return run
  }

  #abort(ordinal: number, reason: unknown): void {
    const pending = this.#pending.get(ordinal)
    if (pending === undefined) return
    const { call } = pending
    if (!this.#source.remove(call) && this.#run?.abort(call, toError(reason)) === true) {
      // Rejected when the task or its thread has ended: the caller may rely on nothing of it running any more.
      pending.aborted = { reason }
      return
    }
    this.#settle(ordinal)?.reject(reason)
  }

  #settle(ordinal: number): Pending | undefined {
    const pending = this.#pending.get(ordinal)
    if (pending === undefined) return undefined
    this.#pending.delete(ordinal)
    pending.stopListening()
    if (this.#pending.size === 0 && !this.#checking) {
      // Not at once: `await run()` in a loop adds the next one in this turn of the event loop.
      this.#checking = true
      setImmediate(() => {
        this.#checking = false
        if (this.#pending.size === 0) this.#source.end()
      })
    }
    return pending
  }

  #rejectAll(reason: () => unknown): void {
    this.#source.end()
    for (const ordinal of [...this.#pending.keys()]) this.#settle(ordinal)?.reject(reason())
  }
}

/** Calls that wait for a thread. */
class CallSource implements Source<Call> {
  readonly #waiting = new Set<Call>()
  #ended = false
  #wake: (() => void) | undefined
  #ready: Promise<void> | undefined
  readonly error = undefined

  get ended(): boolean {
    return this.#ended
  }

  push(call: Call): void {
    this.#waiting.add(call)
    this.#wakeUp()
  }

  /** Takes a call back; false if a thread has it. */
  remove(call: Call): boolean {
    return this.#waiting.delete(call)
  }

  take(max: number): Call[] {
    const taken: Call[] = []
    for (const call of this.#waiting) {
      if (taken.length >= max) break
      this.#waiting.delete(call)
      taken.push(call)
    }
    return taken
  }

  ready(): Promise<void> {
    if (this.#ended || this.#waiting.size > 0) return Promise.resolve()
    this.#ready ??= new Promise(resolve => {
      this.#wake = resolve
    })
    return this.#ready
  }

  end(): void {
    this.#ended = true
    this.#waiting.clear()
    this.#wakeUp()
  }

  stop(): Promise<void> {
    this.end()
    return Promise.resolve()
  }

  #wakeUp(): void {
    this.#wake?.()
    this.#wake = undefined
    this.#ready = undefined
  }
}
