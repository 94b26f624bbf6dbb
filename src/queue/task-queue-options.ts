/** Options and results of the methods of a TaskQueue. Types only. */
import type { BackendOptions, Counts } from '../backend/backend.js'

/** Options of a TaskQueue; those of its backend go beside them. */
export interface TaskQueueOptions extends BackendOptions {
  /** Show progress bars on stderr where it is a terminal. Default true. */
  readonly progress?: boolean
}

/** Options of `insert`. */
export interface InsertOptions {
  /** The tasks may be leased this many seconds from now. Default 0; rounded up to what the queue can do (fq: 1 s). */
  readonly delaySeconds?: number
  /** Number of tasks, for the progress bar and `InsertError`. Default: `length` or `size` of what is inserted. */
  readonly total?: number
  /**
   * Number of threads that insert; true = all cores, 0 = the calling thread. Default 0. For a sequence whose class
   * `sliceable` registered, the threads create the tasks of their slices; for anything else the calling thread creates
   * the payloads, a bounded number ahead. A slice that fails does not stop the insert of the others, see `InsertError`.
   */
  readonly parallel?: number | true
  /**
   * A name for resuming this insert: the same insert under the same name, into the same queue, inserts the missing tasks;
   * once complete, it inserts nothing, until `purge`. Letters, digits, `.`, `_` and `-`, at most 100. The tasks must be the
   * same, in the same order. One process at a time: the last one to start takes the insert over.
   *
   * fq: each task is inserted once, whenever the process died and whatever workers did since; the journal is in the
   * queue's folder, `uploads/<name>`. Other queues: the journal is a file of this machine, see docs/performance.md; batches that
   * were in flight when the process died are inserted again, under the same ids.
   */
  readonly resume?: string
  /**
   * Most tasks in one message, a pack: fewer files, fewer requests. Workers run, retry and report each task of a pack on its
   * own; Python's workers know no packs. A sequence whose class `sliceable` registered is inserted as slices: a message carries its
   * name, its fields and a range, and workers make the tasks, so they must have registered the class too. Of other tasks a message has
   * fewer than `pack` where they would exceed 960 KiB. Default: a message for each task. See docs/packs.md.
   */
  readonly pack?: number
  /** Leave the count of inserted tasks as it is. Default false. */
  readonly skipInsertCounter?: boolean
}

/** Options of `lease`. */
export interface LeaseOptions {
  /** Length of the lease. Default 600; rounded up to what the queue can do (fq: 1 s). */
  readonly seconds?: number
  /** Most tasks to lease. Default 1. */
  readonly numTasks?: number
  /** Maximum wait for the first task if there is none. Default 0. */
  readonly waitSeconds?: number
  /** Its abort ends the wait. */
  readonly signal?: AbortSignal
}

/** The result of `status`. A number that the queue can't know is NaN. */
export interface QueueStatus extends Counts {
  /** A readable name of the queue: a path, a name with its region. */
  readonly queue: string
  /** The numbers are approximate. */
  readonly approximate: boolean
}
