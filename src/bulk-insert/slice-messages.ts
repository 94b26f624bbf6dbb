/** What the main thread and a pool thread say to each other about a slice. Types and numbers only. */
import type { BackendOptions, QueueUrl } from '../backend/backend.js'
import type { WireError } from '../threads/error-wire.js'
import type { Seed } from './task-ids.js'

/** What has become of a task of a slice: a byte each, in memory that outlives the thread. */
export const taskState = { untouched: 0, sent: 1, stored: 2, failed: 3 } as const

/** The places of {@link SliceMessage.control}. */
export const control = { began: 0, stop: 1 } as const

/** A sliceable sequence on its way to a thread. */
export interface SequenceReference {
  /** The name that `sliceable` registered. */
  readonly name: string
  /** The file that registers it; `undefined`: not a file, for the calling thread only. */
  readonly url: string | undefined
  /** The object's own fields. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** How a thread opens the queue. */
export interface QueueReference {
  readonly url: QueueUrl
  readonly options: BackendOptions
  /** The file that registers the protocol; `undefined` for ours. */
  readonly code: string | undefined
}

/** What a slice has in it: a sequence to cut it from, or the payloads themselves as JSON. */
export type SliceContent = SequenceReference | readonly string[]

/** A slice on its way to a thread. */
export interface SliceMessage {
  /** Number of the insert in this process: a thread keeps the queue open for its next slice. */
  readonly insert: number
  readonly queue: QueueReference
  readonly content: SliceContent
  /** Indices of its tasks, `[start, end)`. */
  readonly start: number
  readonly end: number
  readonly seed: Seed
  /** The journal's; `undefined`: there is none. */
  readonly run: string | undefined
  readonly delaySeconds: number
  readonly concurrency: number
  /** One {@link taskState} a task, shared. */
  readonly states: Uint8Array
  /** See {@link control}, shared: the thread has begun; the main thread wants it to stop. */
  readonly control: Int32Array
}

/** How a slice ended; which of its tasks are stored stands in its states. */
export interface SliceReport {
  /** `undefined`: all of it is stored. */
  readonly error: WireError | undefined
  /** The queue failed, not what makes the tasks: another try may do better. */
  readonly retriable: boolean
  /** It stopped because it was told to. */
  readonly ended: boolean
}
