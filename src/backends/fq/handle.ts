/** A lease of the file queue is the name of the task's file: a process that knows the name holds the task. */
import type { Lease } from '../../backend/messages.js'
import { argumentError } from '../../errors/errors.js'
import { inside } from './layout.js'
import { claimTime, isClaim, isId, nameOf } from './names.js'
import { type FileQueue, leaseLost } from './queue.js'

/**
 * The handle of a lease: plain data, usable in any thread or process that opens the same queue. Times in whole Unix
 * seconds; with the id they form names.
 */
export interface FileLeaseHandle {
  /** The time in the name of the task's file while we hold it. `undefined`: we released or deleted it. */
  readonly until: number | undefined
  /** The time in the name that it was leased from. */
  readonly from: number
}

/** The handle of each lease that was given up. */
const invalidated: FileLeaseHandle = { until: undefined, from: 0 }

/** The names of a lease. Throws LeaseLostError if this lease was given up, TypeError if it isn't one of ours. */
export function handleOf(queue: FileQueue, { id, handle }: Lease): { readonly until: number; readonly from: number } {
  if (typeof handle === 'object' && handle !== null && 'until' in handle && 'from' in handle && isId(id)) {
    const { until, from } = handle
    if (until === undefined) throw leaseLost(queue, id)
    if (isTime(until) && isTime(from)) return { until, from }
  }
  throw argumentError('lease.handle', `that of a lease of task ${id} in a file queue`, handle)
}

/** The path of the file of a held task. Throws as {@link handleOf}. */
export function heldPath(queue: FileQueue, lease: Lease): string {
  return inside(queue.layout.queue, nameOf(handleOf(queue, lease).until, lease.id))
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/**
 * Moves the file, and the lease with it, to another time: by way of a claim where one rename proves nothing, see
 * `exclusive-rename.ts`. Throws LeaseLostError where the held name is gone.
 */
export async function moveHeld(queue: FileQueue, lease: Lease, until: number): Promise<void> {
  if (!queue.io.knowsNames && !isClaim(handleOf(queue, lease).until)) await claimHeld(queue, lease)
  await renameHeld(queue, lease, until)
}

/** Moves the file, and the lease with it, to a name that no other process chooses. Throws as {@link moveHeld}. */
export function claimHeld(queue: FileQueue, lease: Lease): Promise<void> {
  return renameHeld(queue, lease, claimTime())
}

/** The handle follows each rename: one that fails leaves a lease that its holder can still release. */
async function renameHeld(queue: FileQueue, lease: Lease, until: number): Promise<void> {
  const { from } = handleOf(queue, lease)
  const path = inside(queue.layout.queue, nameOf(until, lease.id))
  if (!(await queue.io.calls.rename(heldPath(queue, lease), path))) throw leaseLost(queue, lease.id)
  lease.handle = { until, from } satisfies FileLeaseHandle
}

/**
 * Marks a lease as given up. Another process may lease the task again under the same name (within one second, for the
 * same time): later calls of its former holder must not affect it.
 */
export function invalidate(lease: Lease): void {
  lease.handle = invalidated
}
