/** TaskQueues on a queue of the suite: the core and the backend together. */
import { randomUUID } from 'node:crypto'
import type { Backend } from '../backend/backend.js'
import { registerBackend } from '../queue/open-backend.js'
import { TaskQueue } from '../task-queue.js'
import type { QueueUnderTest } from './queue-under-test.js'

/**
 * Opens TaskQueues through a protocol that is registered for this queue alone.
 *
 * @param wrap what they see of the backend. Default: all of it
 */
export function openerOf(queue: QueueUnderTest, wrap: (backend: Backend) => Backend = same): () => TaskQueue {
  const protocol = `ptq-test-${randomUUID()}`
  registerBackend(protocol, { open: async () => wrap(await queue.open()) })
  return () => new TaskQueue(`${protocol}://${queue.name}`, { progress: false })
}

/** The backend, with another `renew`: as for a worker that was cut off from the queue for a while. */
export function withRenew(backend: Backend, renew: (target: Backend) => Backend['renew']): Backend {
  return withVerb(backend, 'renew', renew)
}

/** The backend, with another method of this name. */
export function withVerb<Verb extends keyof Backend>(
  backend: Backend,
  verb: Verb,
  change: (target: Backend) => Backend[Verb],
): Backend {
  return new Proxy(backend, {
    get(target, key) {
      if (key === verb) return change(target)
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function same(backend: Backend): Backend {
  return backend
}
