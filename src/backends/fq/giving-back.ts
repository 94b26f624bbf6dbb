/**
 * Giving a task back as if it had not been leased: nothing is counted.
 *
 * A task that was leased under the name `0--<id>` gets that name back. One with a past was found under a time, which may be
 * the end of an earlier lease: its holder, who is late and not dead, holds that very name still, and would find the task
 * under it. Such a task gets a time of 1970, at which no lease can end; the record of its past is changed with it, so that
 * the next lease finds the name where it looks for the end of the last attempt.
 *
 * The order is: prolong the lease, which proves that it is ours; change the record; rename. A death between two steps leaves
 * a lease that runs out, as that of any other dead holder: one more attempt.
 */
import type { Lease } from '../../backend.js'
import { giveUp, heldOf, moveHeld } from './held.js'
import { endOfLease } from './leasing.js'
import { nameOf } from './names.js'
import type { FileQueue } from './queue.js'

// While something is written about a task its lease must not run out. Also the time that the task rests if the writer dies.
const WRITING_SECONDS = 60

/** The even and the odd time of a task with a past that was given back. Not 0 and 1: 0 is for what has no past. */
const GIVEN_BACK = { even: 2, odd: 3 }

/** Makes the lease last long enough to write about its task. Throws LeaseLostError where it isn't ours any more. */
export async function prolong(queue: FileQueue, lease: Lease): Promise<void> {
  const { from } = heldOf(queue, lease)
  await moveHeld(queue, lease, endOfLease(queue.clock.nowSeconds + WRITING_SECONDS, from))
}

/** Throws LeaseLostError. */
export async function giveBack(queue: FileQueue, lease: Lease): Promise<void> {
  const { from } = heldOf(queue, lease)
  if (from <= GIVEN_BACK.odd) {
    await moveHeld(queue, lease, from)
  } else {
    await prolong(queue, lease)
    // Even where it was even: so it stays with the lease that `releaseAll` ended, see `endOfLease`.
    const available = from % 2 === 0 ? GIVEN_BACK.even : GIVEN_BACK.odd
    await queue.history.givenBack(lease.id, nameOf(available, lease.id))
    await moveHeld(queue, lease, available)
  }
  giveUp(lease)
}
