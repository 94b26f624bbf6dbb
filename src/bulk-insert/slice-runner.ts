/** Runs slices in pool threads, or in the calling thread. */
import type { Backend } from '../backend/backend.js'
import type { Sliceable } from '../tasks/sliceable.js'
import { errorFromWire } from '../threads/error-wire.js'
import { type RunMessage, type ThreadListener, ThreadPool } from '../threads/pool.js'
import { warnOfUnhandledError } from '../threads/unhandled-error.js'
import { insertSlice, madeMessages } from './insert-slice.js'
import { journalOf } from './journal.js'
import {
  control,
  type QueueReference,
  type SequenceReference,
  type SliceMessage,
  type SliceReport,
} from './slice-messages.js'
import type { Slice } from './slice-source.js'

/** Settings shared by all slices of an insert. */
export interface SliceSettings {
  readonly seed: string
  readonly run: string | undefined
  readonly delaySeconds: number
  readonly concurrency: number
  readonly traceparent: string | undefined
}

/** A slice that is being inserted. */
export interface RunningSlice {
  readonly slice: Slice
  /** State of each message, see `taskState`. */
  readonly states: Uint8Array
  /** Resolves when the slice has ended. */
  readonly result: Promise<SliceResult>
}

export interface SliceResult {
  /** `undefined`: all of it is stored. */
  readonly error: unknown
  /** The queue failed, not the code that makes the tasks. */
  readonly retriable: boolean
  /** Stopped on request. */
  readonly ended: boolean
  /** The thread died: tasks in flight may be stored or not. */
  readonly died: boolean
}

export interface SliceRunner {
  run(slice: Slice): RunningSlice
  /** Stops slices after their current batches. */
  stop(): void
  /** Releases the threads. */
  end(): void
}

/** Time for a thread to stop before it is terminated: a batch with its retries. */
const stopGraceMs = 5000

interface SharedMemory {
  readonly states: Uint8Array
  readonly control: Int32Array
}

function sharedFor({ start, end }: Slice): SharedMemory {
  const bytes = Int32Array.BYTES_PER_ELEMENT * Object.keys(control).length
  const memory = new SharedArrayBuffer(bytes + end - start)
  return { control: new Int32Array(memory, 0, Object.keys(control).length), states: new Uint8Array(memory, bytes) }
}

function noop(): void {
  // There is nothing to do.
}

let inserts = 0

/** Each slice is one call of the pool. */
export class ThreadSliceRunner implements SliceRunner, ThreadListener {
  readonly #pool: ThreadPool
  readonly #insert = ++inserts
  readonly #queue: QueueReference
  readonly #sequence: SequenceReference | undefined
  readonly #settings: SliceSettings
  readonly #running = new Map<Int32Array, AbortController>()
  /** Why threads could not import the code of a slice, by the index of its first task; each slice is tried in others. */
  readonly #notLoaded = new Map<number, unknown>()
  #grace: NodeJS.Timeout | undefined

  constructor(queue: QueueReference, sequence: SequenceReference | undefined, settings: SliceSettings) {
    this.#queue = queue
    this.#sequence = sequence
    this.#settings = settings
    this.#pool = ThreadPool.join(this, undefined)
  }

  run(slice: Slice): RunningSlice {
    const shared = sharedFor(slice)
    return { slice, states: shared.states, result: this.#insertSlice(slice, shared) }
  }

  stop(): void {
    for (const shared of this.#running.keys()) Atomics.store(shared, control.stop, 1)
    this.#grace ??= setTimeout(() => {
      for (const kill of this.#running.values()) kill.abort()
    }, stopGraceMs)
  }

  end(): void {
    clearTimeout(this.#grace)
    this.#pool.leave(this)
  }

  async #insertSlice(slice: Slice, shared: SharedMemory): Promise<SliceResult> {
    const { start, end, texts } = slice
    const content = texts ?? this.#sequence
    if (content === undefined) throw new Error('Expected a slice to have its tasks, or a sequence to cut them from')
    const message: SliceMessage = {
      insert: this.#insert,
      queue: this.#queue,
      content,
      counts: slice.packed?.counts,
      start,
      end,
      ...this.#settings,
      ...shared,
    }
    const kill = new AbortController()
    this.#running.set(shared.control, kill)
    try {
      const report = await this.#pool.run<SliceMessage, SliceReport>('insert', message, kill.signal)
      return { ...report, error: report.error === undefined ? undefined : errorFromWire(report.error), died: false }
    } catch (cause) {
      // The thread's last message may arrive after its exit event.
      this.#pool.receiveAll()
      const notLoaded = this.#notLoaded.get(start)
      this.#notLoaded.delete(start)
      const error = notLoaded ?? new Error('The thread died while it inserted', { cause: kill.signal.reason ?? cause })
      return { error, retriable: true, ended: false, died: true }
    } finally {
      this.#running.delete(shared.control)
    }
  }

  onMessage(message: RunMessage): void {
    if (message.type === 'unhandled-error') warnOfUnhandledError(message.taskId, errorFromWire(message.error))
    else if (message.type === 'slice-not-loaded' && message.insert === this.#insert) {
      this.#notLoaded.set(message.start, errorFromWire(message.error))
    }
  }

  onSpawnError(error: Error): boolean {
    let isReported = false
    for (const [shared, kill] of this.#running) {
      if (Atomics.load(shared, control.began) !== 0) continue
      isReported = true
      kill.abort(error)
    }
    return isReported
  }

  // Slice reports are small and flat, so they can always be read.
  readonly onUnreadable = noop

  // The code that makes tasks runs outside of any task, so it can't call `context().renew`.
  readonly renew = () => Promise.resolve()
}

/** Inserts slices in the calling thread, through the open queue. */
export class InlineSliceRunner implements SliceRunner {
  readonly #backend: Backend
  readonly #sequence: Sliceable | undefined
  readonly #settings: SliceSettings
  readonly #running = new Set<Int32Array>()

  constructor(backend: Backend, sequence: Sliceable | undefined, settings: SliceSettings) {
    this.#backend = backend
    this.#sequence = sequence
    this.#settings = settings
  }

  run(slice: Slice): RunningSlice {
    const shared = sharedFor(slice)
    return { slice, states: shared.states, result: this.#insertSlice(slice, shared) }
  }

  stop(): void {
    for (const shared of this.#running) Atomics.store(shared, control.stop, 1)
  }

  readonly end = noop

  async #insertSlice({ start, end, texts, packed }: Slice, shared: SharedMemory): Promise<SliceResult> {
    const { run } = this.#settings
    const journal = run === undefined ? undefined : { uploads: journalOf(this.#backend), run }
    const plan = { backend: this.#backend, journal, start, end, ...this.#settings, ...shared }
    this.#running.add(shared.control)
    try {
      const tasks = texts ? madeMessages(texts, packed?.counts) : (this.#sequence?.slice(start, end) ?? [])
      return { ...(await insertSlice({ ...plan, tasks })), died: false }
    } catch (error) {
      // `slice` itself threw.
      return { error, retriable: false, ended: false, died: false }
    } finally {
      this.#running.delete(shared.control)
    }
  }
}
