/** The dependencies of a worker. Types only. */
import type { Backend } from '../backend/backend.js'
import type { CommandWorker } from '../commands/command-worker.js'
import type { CallSite } from '../errors/call-site.js'
import type { Leasing } from '../queue/leasing.js'
import type { LeasedTask } from '../queue/queued-task.js'
import type { TaskResults } from '../results/task-results.js'
import type { DatedClock } from '../time/clock.js'
import type { PollSettings } from './poll-options.js'
import type { TaskSpans } from './task-spans.js'
import type { WorkerEvents } from './worker-events.js'

/** An opened dead-letter queue. */
export interface DeadLetters {
  readonly url: string
  readonly backend: Backend
}

/** Options of the release of tasks that did not run. */
export interface ReleaseOptions {
  /** Marks them to be run alone, see `release`. */
  readonly alone?: boolean
  /** Default: 0. Rounded up, and limited to what the queue can do. */
  readonly delaySeconds?: number
}

/** The verbs of a worker on leased tasks, also on those of packs. */
export type TaskLeases = Pick<Leasing, 'delete' | 'lease' | 'moveTo' | 'release' | 'renew' | 'runsAlone'>

/** What the other parts of a worker report to `TaskEnds` about leased tasks. None throws. */
export interface LeaseEnds {
  /** All tasks of a pack have ended: its message is to be deleted, which counts as `completions` completed tasks. */
  packEnded(message: LeasedTask, completions: number): void
  /** An attempt failed, or the task can't run here. */
  failed(task: LeasedTask, error: unknown, durationSeconds: number): void
  /** The lease of a task or of a pack is lost. */
  lost(task: LeasedTask, error: Error): void
  /** The end of a task is written to the queue, or its lease is over. */
  settled(task: LeasedTask): void
  /** Releases held tasks that will not run. Resolves when they are released. */
  release(tasks: readonly LeasedTask[], options?: ReleaseOptions): Promise<void>
  /** Releases what has not started. */
  releaseWaiting(): void
}

/** What `TaskQueue.poll` gives a worker, and the worker gives to each of its classes. */
export interface WorkerDependencies {
  readonly backend: Backend
  readonly leasing: TaskLeases
  readonly events: WorkerEvents
  readonly settings: PollSettings
  /** Resolves with `undefined` if the queue has no dead-letter queue. */
  readonly openDeadLetters: () => Promise<DeadLetters | undefined>
  readonly clock: DatedClock
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** The call of `poll`, shown in a TaskError. */
  readonly caller?: CallSite
  /** Set for a worker that runs commands. */
  readonly commands?: CommandWorker | undefined
  /** Keeps the outcomes that tasks ask for; `undefined` where there is no place for them. */
  readonly results?: TaskResults | undefined
  /** Makes spans of the tasks; `undefined` where no traces are made. */
  readonly spans?: TaskSpans | undefined
  /** Aborted when the queue is closed. */
  readonly closing: AbortSignal
}
