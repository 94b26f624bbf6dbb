/**
 * Queues in the memory of this process, for users' own tests, and as the reference of the conformance suite.
 *
 * `mem://name` is one queue for the whole process: all who open the name share its messages, which outlive `close`. A queue
 * that is closed by all and empty (`purge`) is dropped.
 */
import type { BackendOpener, BackendOptions } from '../../backend/backend.js'
import { argumentError } from '../../errors/errors.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { MemQueue } from './backend.js'

/** Options of `mem://` queues. */
export interface MemOptions extends BackendOptions {
  /** The queue's clock; that of the first opening is used. Default: the machine's clock. */
  readonly clock?: Clock
}

// On `globalThis` for the reason given in registry.ts: two copies of this module share the queues of their process.
const queuesKey = Symbol.for('ptq.mem.1')
const holder = globalThis as { [queuesKey]?: Map<string, MemQueue> }
holder[queuesKey] ??= new Map()
const queues: Map<string, MemQueue> = holder[queuesKey]

function drop(queue: MemQueue): void {
  if (queues.get(queue.queueName) === queue) queues.delete(queue.queueName)
}

/** Opens `mem://name`. */
export const opener: BackendOpener = {
  async open(url, options: MemOptions) {
    const queue = queues.get(url.path) ?? new MemQueue(url.path, options.clock ?? systemClock, drop)
    if (options.clock !== undefined && options.clock !== queue.clock) {
      throw argumentError('clock', `the one that mem://${url.path} was opened with first`, options.clock)
    }
    queues.set(url.path, queue)
    queue.opened += 1
    return queue
  },
}
