/**
 * Releases a task as if it had not been leased: nothing is counted, and nothing is written but the name.
 *
 * A task that was leased under the name `0--<id>` gets that name back. One with a history was found under a time, which
 * may be the end of an earlier lease: its holder, who is late and not dead, still holds that very name, and would find
 * the task under it. Such a task gets a time of 1970, at which no lease can end, and which is never taken for the end
 * of an attempt.
 */
import type { Lease } from '../../backend/messages.js'
import { claimHeld, handleOf, invalidate, moveHeld } from './handle.js'
import { endOfLease, isReleased, releasedTime } from './names.js'
import type { FileQueue } from './queue.js'

// While a record about a task is written its lease must not expire. Also the time that the task waits if the writer
// dies.
export const writingSeconds = 60

/**
 * Makes the lease last long enough to write about its task. Throws LeaseLostError if it has ended. A claim lasts as
 * long, and takes one rename less.
 */
export async function prolong(queue: FileQueue, lease: Lease): Promise<void> {
  if (!queue.io.knowsNames) return claimHeld(queue, lease)
  const { from } = handleOf(queue, lease)
  await moveHeld(queue, lease, endOfLease(queue.clock.nowSeconds + writingSeconds, from))
}

/** Throws LeaseLostError. */
export async function releaseUncounted(queue: FileQueue, lease: Lease): Promise<void> {
  const { from } = handleOf(queue, lease)
  await moveHeld(queue, lease, from === 0 || isReleased(from) ? from : releasedTime(from))
  invalidate(lease)
}
