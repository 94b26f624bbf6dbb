/**
 * The contract of a backend that keeps journals of uploads. Types only.
 *
 * An *upload* is a long insert of which a part may be tried again: the id of each task is a function of the upload's
 * seed and of the task's index, so it is the same task in each process and at each try.
 */
import type { BatchFailure, Message } from './messages.js'

/** Identifies an upload. */
export interface UploadHead {
  /** A task's id is derived from it and the task's index. */
  readonly seed: string
  /** Identifies the sequence of tasks; a different sequence is another upload. */
  readonly sequence: string
  /** The number of tasks; `undefined` where it is not known. */
  readonly total: number | undefined
}

/** An upload as it was found. */
export interface UploadState {
  /** Argument of the other methods: a new one each time the upload is continued; the older ones are refused. */
  readonly run: string
  /** The head that the upload was begun with. */
  readonly head: UploadHead
  /** `[start, end)` of the tasks that were stored, in any order. */
  readonly stored: readonly { readonly start: number; readonly end: number }[]
  /** The number of them that the count of inserted tasks has. */
  readonly counted: number
  /** All of it was stored. */
  readonly finished: boolean
}

/**
 * The journal of a long insert, kept with the messages, so that a part of it may be tried again: each message is stored
 * once, whatever process died during the insert, and also if workers have drained the queue in between. An error named
 * `UploadGoneError` says that the upload no longer belongs to the caller: what it stored may be gone.
 */
export interface Uploads {
  /**
   * Begins an upload, or takes up the one of this name: what was half stored is stored wholly, or not at all.
   *
   * @param name `undefined`: the upload can't be continued, and is forgotten when it ends
   * @param signal its abort ends the wait for other processes that take over the same upload
   * @throws Error where the upload of this name is of another sequence or total: nothing was changed
   */
  begin(name: string | undefined, head: UploadHead, signal?: AbortSignal): Promise<UploadState>
  /**
   * Stores the messages from index `start` on. Ranges of one run do not overlap, unless {@link settle} was called between.
   * May be called in another thread than `begin`.
   */
  insert(
    run: string,
    start: number,
    messages: readonly Message[],
    options: { delaySeconds: number },
  ): Promise<readonly BatchFailure[]>
  /** After an insert in `range` was cut off: as `begin` does, for that range only. Resolves with what is stored of it. */
  settle(
    run: string,
    range: { readonly start: number; readonly end: number },
  ): Promise<readonly { readonly start: number; readonly end: number }[]>
  /** Notes how many tasks of the upload are in the count of inserted tasks. */
  counted(run: string, count: number): Promise<void>
  /** Notes that all of it was stored; or, without a name, that no more of it will be. */
  finish(run: string): Promise<void>
}

/** The code that talks to one kind of queue; one object is one open queue. */
