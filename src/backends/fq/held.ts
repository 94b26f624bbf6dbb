/** A lease of the file queue is the name of the task's file: who knows it holds the task. */
import type { Lease } from '../../backend.js'
import { argumentError } from '../../errors.js'
import { inside } from './layout.js'
import { parseName, type TaskName } from './names.js'
import { type FileQueue, leaseLost } from './queue.js'

/** The handle of a lease: plain data, which any thread or process that opens the same queue can use. */
export interface Held {
  /** The name of the task's file while it is ours. `undefined`: we gave it up ourselves. */
  readonly name: string | undefined
  /** The name that it was leased from. */
  readonly origin: string
}

/** The names behind a lease. Throws LeaseLostError where this lease was given up, TypeError where it isn't one of ours. */
export function heldOf(queue: FileQueue, lease: Lease): { held: TaskName; origin: string } {
  const { handle } = lease
  if (typeof handle === 'object' && handle !== null && 'name' in handle && 'origin' in handle) {
    if (handle.name === undefined) throw leaseLost(queue, lease.id)
    const held = typeof handle.name === 'string' ? parseName(handle.name) : undefined
    const { origin } = handle
    // Whole names only: a path would lead out of the queue.
    const found = typeof origin === 'string' ? parseName(origin) : undefined
    if (held?.id === lease.id && found?.id === lease.id) return { held, origin: found.name }
  }
  throw argumentError('lease.handle', `that of a lease of task ${lease.id} in a file queue`, handle)
}

/** Moves the file, and the lease with it, to another name. Throws LeaseLostError where the held name is gone. */
export async function moveHeld(queue: FileQueue, lease: Lease, name: string): Promise<void> {
  const { held, origin } = heldOf(queue, lease)
  const { queue: folder } = queue.layout
  if (!(await queue.pace.calls.rename(inside(folder, held.name), inside(folder, name)))) throw leaseLost(queue, held.id)
  lease.handle = { name, origin } satisfies Held
}

/**
 * Marks a lease as given up. Another process may lease the task again under the very same name (within one second, for the
 * same time): what its former holder does afterwards must not reach it.
 */
export function giveUp(lease: Lease): void {
  const { handle } = lease
  const origin = typeof handle === 'object' && handle !== null && 'origin' in handle ? String(handle.origin) : ''
  lease.handle = { name: undefined, origin } satisfies Held
}
