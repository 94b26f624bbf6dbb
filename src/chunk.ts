/** A chunk of calls on its way through a thread, seen from the main thread. */
import type { Call, Outcome } from './call.js'
import { codeName, type RegisteredCode } from './registry.js'
import { type ChunkMessage, type CodeReference, slot } from './thread-messages.js'

/** What the calls of a chunk share. */
export interface ChunkSettings {
  readonly idPrefix: string
  readonly postAll: boolean
  readonly concurrency: number
  readonly maxMemoryMb: number | undefined
  /** Tasks that run longer are stopped; `undefined`: no limit. */
  readonly timeoutMs: number | undefined
}

/** What became of a chunk's calls after its thread ended, however it ended. */
export interface ChunkAftermath {
  /** Never begun: to be run elsewhere. */
  readonly waiting: readonly Call[]
  /** Running when the thread died, by index. */
  readonly running: readonly number[]
}

let lastChunk = 0

export class Chunk {
  readonly id = ++lastChunk
  readonly calls: readonly Call[]
  readonly #settings: ChunkSettings
  readonly #slots: Int32Array<SharedArrayBuffer>
  readonly #startedAtMs: Float64Array<SharedArrayBuffer> | undefined
  /** Outcomes that were posted; also marks what needs no outcome any more. */
  readonly #settled = new Set<number>()
  /** Why the main thread asked a task to end, by index. */
  readonly #aborted = new Map<number, { readonly reason: unknown; readonly atMs: number }>()
  /** Tasks that said they are about to end the thread, and why, by index. */
  readonly endings = new Map<number, unknown>()

  constructor(calls: readonly Call[], settings: ChunkSettings) {
    this.calls = calls
    this.#settings = settings
    this.#slots = new Int32Array(new SharedArrayBuffer(calls.length * Int32Array.BYTES_PER_ELEMENT))
    if (settings.timeoutMs !== undefined) {
      this.#startedAtMs = new Float64Array(new SharedArrayBuffer(calls.length * Float64Array.BYTES_PER_ELEMENT))
    }
  }

  /** The form that crosses to the thread. */
  message(): ChunkMessage {
    const codes: CodeReference[] = []
    const indexes = new Map<RegisteredCode, number>()
    const calls: unknown[] = []
    const idSuffixes: (string | number)[] = []
    const attempts: number[] = []
    const kwargs: [number, Readonly<Record<string, unknown>>][] = []
    const extras: [number, readonly unknown[]][] = []
    for (const [index, call] of this.calls.entries()) {
      let code = indexes.get(call.code)
      if (code === undefined) {
        code = codes.push(reference(call.code)) - 1
        indexes.set(call.code, code)
      }
      calls.push(code, call.input)
      idSuffixes.push(call.idSuffix)
      attempts.push(call.attempt)
      if (call.kwargs !== undefined) kwargs.push([index, call.kwargs])
      if (call.extra.length > 0) extras.push([index, call.extra])
    }
    const { idPrefix, postAll, concurrency, maxMemoryMb } = this.#settings
    const firstTry = attempts.every(attempt => attempt === 1)
    return {
      chunk: this.id,
      codes,
      calls,
      kwargs,
      extras,
      idPrefix,
      idSuffixes,
      attempts: firstTry ? 1 : attempts,
      slots: this.#slots,
      startedAtMs: this.#startedAtMs,
      postAll,
      concurrency,
      maxMemoryMb,
    }
  }

  /** How many tasks have not begun. */
  get waitingCount(): number {
    let count = 0
    for (const state of this.#slots) if (state === slot.waiting) count++
    return count
  }

  /** Whether the thread has begun a task of it. */
  get hasBegun(): boolean {
    return this.#slots.some(state => state !== slot.waiting && state !== slot.withdrawn)
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

  /** Whether a task was taken back. */
  isWithdrawn(index: number): boolean {
    return Atomics.load(this.#slots, index) === slot.withdrawn
  }

  /** Notes that a task's outcome arrived; false if it had one already (its time was up, say). */
  settle(index: number): boolean {
    if (this.#settled.has(index)) return false
    this.#settled.add(index)
    return true
  }

  /** Whether a task is running now. */
  isRunning(index: number): boolean {
    return Atomics.load(this.#slots, index) === slot.running
  }

  /** The tasks that are running now, with their age where a time limit makes the thread note it. */
  running(nowMs: number): { index: number; ageMs: number }[] {
    const running: { index: number; ageMs: number }[] = []
    for (let index = 0; index < this.calls.length; index++) {
      if (this.isRunning(index)) {
        const startedAtMs = this.#startedAtMs?.[index] ?? 0
        // The thread notes the time just after it took the slot: for a moment there is none.
        running.push({ index, ageMs: startedAtMs === 0 ? 0 : nowMs - startedAtMs })
      }
    }
    return running
  }

  /** Remembers that a task was asked to end, and why; false if it was asked before. */
  abort(index: number, reason: unknown, nowMs: number): boolean {
    if (this.#aborted.has(index)) return false
    this.#aborted.set(index, { reason, atMs: nowMs })
    return true
  }

  /** Why and when a task was asked to end. */
  abortedFor(index: number): { readonly reason: unknown; readonly atMs: number } | undefined {
    return this.#aborted.get(index)
  }

  /** The index of a call, for whoever wants it aborted. */
  indexOf(call: Call): number {
    return this.calls.indexOf(call)
  }

  /** Calls that succeeded without saying so (only failures are posted then), passed to `report` once each. */
  reportSilentSuccesses(report: (call: Call, outcome: Outcome) => void): void {
    for (let index = 0; index < this.calls.length; index++) {
      const call = this.calls[index]
      if (call !== undefined && Atomics.load(this.#slots, index) === slot.succeeded && this.settle(index)) {
        report(call, { ok: true, value: undefined, elapsedMs: Number.NaN })
      }
    }
  }

  /** What is left after the thread died. */
  aftermath(): ChunkAftermath {
    // Taken back rather than looked at: a thread that is being stopped may still run for a moment.
    const waiting = this.withdraw(Number.POSITIVE_INFINITY)
    const running: number[] = []
    for (let index = 0; index < this.calls.length; index++) {
      // `failed` without its error: the thread was stopped between the two.
      const state = Atomics.load(this.#slots, index)
      if ((state === slot.running || state === slot.failed) && !this.#settled.has(index)) running.push(index)
    }
    return { waiting, running }
  }

  /** The names of the chunk's code, for messages. */
  get codeNames(): string {
    return [...new Set(this.calls.map(call => codeName(call.code)))].join(', ')
  }
}

function reference(code: RegisteredCode): CodeReference {
  return code.kind === 'function'
    ? { kind: 'function', module: code.module, name: code.name, url: code.url }
    : { kind: 'class', name: code.name, url: code.url }
}
