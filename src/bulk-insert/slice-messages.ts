/** Messages between the main thread and a pool thread about a slice. Types and numbers only. */
import type { BackendOptions, QueueUrl } from '../backend/backend.js'
import type { Seed } from '../backend/task-ids.js'
import type { WireError } from '../threads/error-wire.js'

/** State of a message of a slice: a byte each, in shared memory that outlives the thread. */
export const taskState = { untouched: 0, sent: 1, stored: 2, failed: 3 } as const

/** The places of {@link SliceMessage.control}. */
export const control = { began: 0, stop: 1 } as const

/** A serialised sliceable sequence. */
export interface SequenceReference {
  /** The name that `sliceable` registered. */
  readonly name: string
  /** The file that registers it; `undefined`: not a file, for the calling thread only. */
  readonly url: string | undefined
  /** The object's own fields. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** The arguments for a thread to open the queue. */
export interface QueueReference {
  readonly url: QueueUrl
  readonly options: BackendOptions
  /** The file that registers the protocol; `undefined` for ours. */
  readonly code: string | undefined
}

/** Content of a slice: the sequence to slice, or the payloads as JSON. */
export type SliceContent = SequenceReference | readonly string[]

/** The message that hands a slice to a thread. */
export interface SliceMessage {
  /** Number of the insert in this process: a thread keeps the queue open for its next slice. */
  readonly insert: number
  readonly queue: QueueReference
  readonly content: SliceContent
  /** The number of tasks of each of the payloads. Default: 1 */
  readonly counts: readonly number[] | undefined
  /** Indices of its messages, `[start, end)`. */
  readonly start: number
  readonly end: number
  readonly seed: Seed
  /** The journal's; `undefined`: there is none. */
  readonly run: string | undefined
  readonly delaySeconds: number
  readonly concurrency: number
  /** Of the span of the insert; `undefined` where no trace is made. */
  readonly traceparent: string | undefined
  /** One {@link taskState} a message, shared. */
  readonly states: Uint8Array
  /** See {@link control}, shared: the thread has begun; the main thread wants it to stop. */
  readonly control: Int32Array
}

/** The result of a slice; `states` says which of its messages are stored. */
export interface SliceReport {
  /** `undefined`: all of it is stored. */
  readonly error: WireError | undefined
  /** The queue failed, not the code that makes the tasks: a retry may succeed. */
  readonly retriable: boolean
  /** Stopped on request. */
  readonly ended: boolean
}
