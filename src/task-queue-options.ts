/** What the verbs of a TaskQueue take and tell. Types only. */
import type { BackendOptions, Counts } from './backend.js'

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
