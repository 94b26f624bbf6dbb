/** Lists the tasks of a queue. */
import type { Backend } from '../backend/backend.js'
import type { ListedMessage } from '../backend/messages.js'
import { UnsupportedOperationError } from '../errors/errors.js'
import { warnOfNoTask } from './no-task.js'
import { findPackedTask } from './packed-tasks.js'
import { ListedTask } from './queued-task.js'

type Listing = Backend & Required<Pick<Backend, 'list'>>

/** @throws UnsupportedOperationError if listing would mean leasing */
export function requireListing(backend: Backend): asserts backend is Listing {
  if (backend.list !== undefined) return
  throw new UnsupportedOperationError(
    `${backend.label} can't list its tasks: it shows them by leasing only, which counts as an attempt. Use lease()`,
  )
}

/**
 * Yields the tasks of a queue, without leasing them. A message that is no task is left out with a warning.
 *
 * @throws UnsupportedOperationError if listing would mean leasing
 */
export async function* listTasks(backend: Backend): AsyncGenerator<ListedTask, void, undefined> {
  requireListing(backend)
  for await (const message of backend.list()) {
    const task = listed(backend, message)
    if (task !== undefined) yield task
  }
}

/**
 * The one task whose id is `id` or begins with it, with the failures that were recorded so far. One in a pack is found by its whole id.
 *
 * @throws Error where several ids begin with it, or its message is no task
 */
export async function findTask(backend: Backend, id: string): Promise<ListedTask | undefined> {
  requireListing(backend)
  let found: ListedMessage | undefined
  for await (const message of backend.list({ wanted: other => other.startsWith(id) })) {
    if (!message.id.startsWith(id)) continue
    if (found !== undefined) {
      throw new Error(`Several tasks of ${backend.label} have ids that begin with ${id}: ${found.id}, ${message.id}, …`)
    }
    found = message
    if (message.id === id) break
  }
  if (found === undefined) return findPackedTask(backend, id)
  return new ListedTask(found, (await backend.failures?.(found)) ?? [])
}

function listed(backend: Backend, message: ListedMessage): ListedTask | undefined {
  try {
    return new ListedTask(message)
  } catch (error) {
    warnOfNoTask(backend, message.id, 'left out of the list', error)
    return undefined
  }
}
