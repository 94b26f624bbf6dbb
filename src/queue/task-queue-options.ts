/** What the verbs of a TaskQueue take and tell. Types only. */
import type { BackendOptions, Counts } from '../backend/backend.js'

/** Options of a TaskQueue; those of its backend go beside them. */
export interface TaskQueueOptions extends BackendOptions {
  /** Show bars on stderr where it is a terminal. Default true. */
  readonly progress?: boolean
}

/** Options of `insert`. */
export interface InsertOptions {
  /** The tasks may be leased this many seconds from now. Default 0; rounded up to what the queue can do (fq: 1 s). */
  readonly delaySeconds?: number
  /** How many tasks will come, for the progress bar and `InsertError`. Default: `length` or `size` of what is inserted. */
  readonly total?: number
  /**
   * How many threads insert: a number, true = all cores, 0 = the calling thread. Default 0. Of a sequence whose class
   * `sliceable` registered only slices travel, and the threads make the tasks; of anything else the calling thread makes
   * payloads, a bounded number ahead. A slice that fails does not keep the others from being inserted, see `InsertError`.
   */
  readonly parallel?: number | true
  /**
   * A name for this upload: the same insert under the same name, into the same queue, goes on where it was interrupted and
   * inserts what is missing; once all is in, it inserts nothing, until `purge`. Letters, digits, `.`, `_` and `-`, at most
   * 100. What is inserted has to be the same, task for task. One process at a time: who comes last takes the upload over.
   *
   * fq: each task is inserted once, whenever the process died and whatever workers did meanwhile; the journal is in the
   * queue's folder, `uploads/<name>`. Other queues: the journal is a file of this machine, see docs/performance.md; what was
   * under way when the process died is inserted again, under the same ids.
   */
  readonly resume?: string
  /** Leave the count of inserted tasks as it is. Default false. */
  readonly skipInsertCounter?: boolean
}

/** Options of `lease`. */
export interface LeaseOptions {
  /** How long the tasks are ours. Default 600; rounded up to what the queue can do (fq: 1 s). */
  readonly seconds?: number
  /** How many tasks to lease at most. Default 1. */
  readonly numTasks?: number
  /** How long to wait for the first one where there is none. Default 0. */
  readonly waitSeconds?: number
  /** Its abort ends the wait. */
  readonly signal?: AbortSignal
}

/** What `status` tells. A number that the queue can't know is NaN. */
export interface QueueStatus extends Counts {
  /** The queue as a person calls it: a path, a name with its region. */
  readonly queue: string
  /** The numbers are approximate. */
  readonly approximate: boolean
}
