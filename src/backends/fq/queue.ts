/** The state that the parts of one open file queue share. */
import { LeaseLostError } from '../../errors/errors.js'
import type { Completions } from './completions.js'
import { errorMessage } from './file-system.js'
import type { History } from './history.js'
import type { IoScheduler } from './io-scheduler.js'
import type { Layout } from './layout.js'
import type { QueueClock } from './queue-clock.js'

export interface FileQueue {
  /** The queue as a person calls it: `fq://` and its path. */
  readonly label: string
  readonly layout: Layout
  readonly io: IoScheduler
  readonly clock: QueueClock
  readonly history: History
  readonly completions: Completions
}

/** Names the queue and the verb in a fault of the filesystem; `cause` has the path and the code. */
export function queueFault(queue: FileQueue, verb: string, cause: unknown): Error {
  return new Error(`${verb} failed in ${queue.label}: ${errorMessage(cause)}`, { cause })
}

export function leaseLost(queue: FileQueue, id: string): LeaseLostError {
  return new LeaseLostError(
    `The lease of task ${id} in ${queue.label} is over: it ran out and another worker took the task, or it was released, ` +
      'finished or removed. Nothing was changed. Longer leases, or renewing them in time, prevent the first.',
    { id },
  )
}
