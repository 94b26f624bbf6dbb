/** A chunk of calls that a thread runs, seen from the main thread. */

import type { Transferable } from 'node:worker_threads'
import type { JsonValue } from '../json/json-value.js'
import { SharedObjects } from '../json/shared-objects.js'
import { codeName, type RegisteredCode } from '../tasks/registry.js'
import { transferablesIn } from '../tasks/transferables.js'
import type { CallTracing } from '../tracing/call-tracing.js'
import type { Call, Outcome } from './call.js'
import { refuseEmptied } from './small-clone.js'
import { unreadableError } from './thread-errors.js'
import { type ChunkMessage, type CodeReference, slot } from './thread-messages.js'

/** Settings that the calls of a run share. */
export interface ChunkSettings {
  readonly idPrefix: string
  readonly postAll: boolean
  /** See RunOptions. */
  readonly wantsValues: (() => boolean) | undefined
  readonly concurrency: number
  readonly maxMemoryMb: number | undefined
  /** Tasks that run longer are stopped; `undefined`: no limit. */
  readonly timeoutMs: number | undefined
  /** See RunOptions. */
  readonly moveInputs?: boolean
  readonly tracing?: CallTracing<Call> | undefined
}

let lastChunk = 0

/** Shared by all: there are millions. */
const silentSuccess: Outcome = Object.freeze({ ok: true, value: undefined, elapsedMs: Number.NaN })

export class Chunk {
  readonly id = ++lastChunk
  readonly calls: readonly Call[]
  /** Time at which it was handed out, by `performance.now()`. */
  readonly sinceMs = performance.now()
  /** The same moment in milliseconds since 1970: `performance.now()` stops while the machine sleeps. */
  readonly handedOutAtMs = Date.now()
  readonly #settings: ChunkSettings
  readonly #slots: Int32Array<SharedArrayBuffer>
  readonly #startedAtMs: Float64Array<SharedArrayBuffer> | undefined
  /** 1: the outcome was reported. Each is reported once, whatever the thread posts later. */
  readonly #settled: Uint8Array
  #values: ChunkMessage['values'] = 'required'
  /** Abort reasons of tasks that the main thread asked to end, by index. */
  readonly #aborted = new Map<number, { readonly reason: unknown; readonly atMs: number }>()

  constructor(calls: readonly Call[], settings: ChunkSettings) {
    this.calls = calls
    this.#settings = settings
    this.#slots = new Int32Array(new SharedArrayBuffer(calls.length * Int32Array.BYTES_PER_ELEMENT))
    this.#settled = new Uint8Array(calls.length)
    if (settings.timeoutMs !== undefined) {
      this.#startedAtMs = new Float64Array(new SharedArrayBuffer(calls.length * Float64Array.BYTES_PER_ELEMENT))
    }
  }

  /** The message for the thread. @throws DOMException DataCloneError if extra arguments would arrive empty */
  message(): ChunkMessage {
    const { length } = this.calls
    const codes: CodeReference[] = []
    const indexes = new Map<RegisteredCode, number>()
    const calls = new Array<unknown>(2 * length)
    const kwargs: [number, Readonly<Record<string, unknown>>][] = []
    const extras: [number, readonly unknown[]][] = []
    const objects = new SharedObjects()
    const [first] = this.calls
    let numbered = true
    let firstTry = true
    for (let index = 0; index < length; index++) {
      const call = this.calls[index]
      if (call === undefined || first === undefined) continue
      let code = indexes.get(call.code)
      if (code === undefined) {
        code = codes.push(reference(call.code)) - 1
        indexes.set(call.code, code)
      }
      calls[2 * index] = code
      calls[2 * index + 1] = isList(call.input) ? objects.separateItems(call.input) : objects.separate(call.input)
      if (call.kwargs !== undefined) kwargs.push([index, objects.separate(call.kwargs)])
      if (call.extra.length > 0) {
        // Many tasks may share one list.
        if (call.extra !== extras.at(-1)?.[1]) refuseEmptied(call.extra)
        extras.push([index, call.extra])
      }
      numbered &&= typeof first.idSuffix === 'number' && call.idSuffix === first.idSuffix + index
      firstTry &&= call.attempt === 1
    }
    const { idPrefix, postAll, wantsValues, concurrency, maxMemoryMb, tracing } = this.#settings
    this.#values = wantsValues === undefined ? 'required' : wantsValues() ? 'offered' : 'unwanted'
    return {
      chunk: this.id,
      codes,
      calls,
      kwargs,
      extras,
      idPrefix,
      idSuffixes: numbered ? Number(first?.idSuffix) : this.calls.map(call => call.idSuffix),
      attempts: firstTry ? 1 : this.calls.map(call => call.attempt),
      traceparents: tracing && this.calls.map(call => tracing.traceparentOf(call)),
      slots: this.#slots,
      startedAtMs: this.#startedAtMs,
      postAll,
      values: this.#values,
      concurrency,
      maxMemoryMb,
    }
  }

  /** Buffers of its calls that are moved to the thread, not copied. */
  get moved(): readonly Transferable[] {
    return this.#settings.moveInputs === true ? transferablesIn(this.calls.flatMap(call => call.extra)) : []
  }

  /** The number of tasks that have not begun. */
  get waitingCount(): number {
    let count = 0
    for (let index = 0; index < this.calls.length; index++) if (this.#state(index) === slot.waiting) count++
    return count
  }

  /** True if the thread has begun a task of it. */
  get hasBegun(): boolean {
    for (let index = 0; index < this.calls.length; index++) {
      const state = this.#state(index)
      if (state !== slot.waiting && state !== slot.withdrawn) return true
    }
    return false
  }

  /** Takes back up to `max` tasks that have not begun, from the end. */
  withdraw(max: number): Call[] {
    const taken: Call[] = []
    for (let index = this.calls.length - 1; index >= 0 && taken.length < max; index--) {
      const call = this.calls[index]
      if (call !== undefined && this.withdrawAt(index)) taken.push(call)
    }
    return taken.reverse()
  }

  /** Takes back one task; false if it has begun, or was taken back before. */
  withdrawAt(index: number): boolean {
    return Atomics.compareExchange(this.#slots, index, slot.waiting, slot.withdrawn) === slot.waiting
  }

  /** True if a task was taken back. */
  isWithdrawn(index: number): boolean {
    return Atomics.load(this.#slots, index) === slot.withdrawn
  }

  /** Claims the report of a task's outcome; false if it was reported before (e.g. as timed out). */
  settle(index: number): boolean {
    if (this.#settled[index] !== 0) return false
    this.#settled[index] = 1
    return true
  }

  /** True if a task's outcome was reported. */
  isSettled(index: number): boolean {
    return this.#settled[index] !== 0
  }

  /** The tasks that are running now, with their age where a time limit makes the thread note it. */
  running(nowMs: number): { index: number; ageMs: number }[] {
    const running: { index: number; ageMs: number }[] = []
    for (let index = 0; index < this.calls.length; index++) {
      if (this.#state(index) === slot.running) {
        const startedAtMs = this.#startedAtMs?.[index] ?? 0
        // The thread sets the time just after it took the slot: for a moment it is 0.
        running.push({ index, ageMs: startedAtMs === 0 ? 0 : nowMs - startedAtMs })
      }
    }
    return running
  }

  /** The calls that are running now. */
  get runningCalls(): Call[] {
    return this.calls.filter((_, index) => this.#state(index) === slot.running)
  }

  /** Records that a task was asked to end, and why; false if it was asked before. */
  abort(index: number, reason: unknown, nowMs: number): boolean {
    if (this.#aborted.has(index)) return false
    this.#aborted.set(index, { reason, atMs: nowMs })
    return true
  }

  /** The reason and time of the request to end, if there was one. */
  abortedFor(index: number): { readonly reason: unknown; readonly atMs: number } | undefined {
    return this.#aborted.get(index)
  }

  /** The index of a call; -1 if it is not one of these. */
  indexOf(call: Call): number {
    return this.calls.indexOf(call)
  }

  /** Passes calls that succeeded without a message (only failures are posted then) to `report`, once each. */
  reportSilentSuccesses(report: (call: Call, outcome: Outcome) => void): void {
    if (this.#settings.postAll) return
    for (let index = 0; index < this.calls.length; index++) {
      const call = this.calls[index]
      if (call !== undefined && this.#state(index) === slot.succeeded && this.settle(index)) {
        // A task whose time was up failed, even if it succeeded before its thread was stopped.
        const asked = this.#aborted.get(index)
        report(call, asked === undefined ? silentSuccess : { ok: false, error: asked.reason, elapsedMs: Number.NaN })
      }
    }
  }

  /** Tasks that have ended by their slots, and whose outcome was posted but not received. */
  get unreported(): number[] {
    const indexes: number[] = []
    for (let index = 0; index < this.calls.length; index++) {
      const state = this.#state(index)
      const isPosted = state === slot.failed || (state === slot.succeeded && this.#settings.postAll)
      if (isPosted && this.#settled[index] === 0) indexes.push(index)
    }
    return indexes
  }

  /** The outcome of a task that has ended, where the message about it can't be read. */
  unreadableOutcome(index: number): Outcome {
    const elapsedMs = performance.now() - this.sinceMs
    if (this.#state(index) === slot.failed) return { ok: false, error: unreadableError('throw'), elapsedMs }
    if (this.#values !== 'required') return { ok: true, value: undefined, elapsedMs }
    return { ok: false, error: unreadableError('return'), elapsedMs }
  }

  /** Tasks that ended with their thread; all that it had posted must have been received, and what waited withdrawn. */
  get unfinished(): number[] {
    const indexes: number[] = []
    for (let index = 0; index < this.calls.length; index++) {
      // Also `failed` or, where values are posted, `succeeded` without a message: the thread set it after the last receive.
      const state = this.#state(index)
      const isSilent = state === slot.succeeded && !this.#settings.postAll
      if (state !== slot.withdrawn && !isSilent && this.#settled[index] === 0) indexes.push(index)
    }
    return indexes
  }

  /** The names of the chunk's code, for messages. */
  get codeNames(): string {
    return [...new Set(this.calls.map(call => codeName(call.code)))].join(', ')
  }

  #state(index: number): number {
    return Atomics.load(this.#slots, index)
  }
}

function isList(input: Call['input']): input is readonly JsonValue[] {
  return Array.isArray(input)
}

function reference(code: RegisteredCode): CodeReference {
  return code.kind === 'function'
    ? { kind: 'function', module: code.module, name: code.name, url: code.url }
    : { kind: 'class', name: code.name, url: code.url }
}
