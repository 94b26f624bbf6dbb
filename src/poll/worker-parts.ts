/** The dependencies of a worker. Types only. */
import type { Backend } from '../backend/backend.js'
import type { CommandWorker } from '../commands/command-worker.js'
import type { CallSite } from '../errors/call-site.js'
import type { Leasing } from '../queue/leasing.js'
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

/** The verbs of a worker on leased tasks, also on those of packs. */
export type TaskLeases = Pick<Leasing, 'delete' | 'lease' | 'release' | 'renew' | 'runsAlone'>

export interface WorkerParts {
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
