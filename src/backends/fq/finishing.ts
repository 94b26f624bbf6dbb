/** What the holder of a lease does with it: renew, release, delete. Each finds the task by the held name, or not at all. */
import type { BatchFailure, Failure, Lease } from '../../backend.js'
import { LeaseLostError } from '../../errors.js'
import type { Awaitable } from './awaitable.js'
import { addCompletions } from './completions.js'
import { giveUp, heldOf, heldPath, moveHeld } from './held.js'
import { inside } from './layout.js'
import { nameOf, type TaskName } from './names.js'
import { type FileQueue, leaseLost, queueFault } from './queue.js'

// While a failure is written down the lease must not run out. Also the time that the task rests if the writer dies then.
const RECORDING_SECONDS = 60

// From so many deletes on it pays to look once whether any task has a history.
const MANY_DELETES = 16

async function eachLease(
  queue: FileQueue,
  verb: string,
  leases: readonly Lease[],
  work: (lease: Lease) => Awaitable<void>,
): Promise<BatchFailure[]> {
  const failures: BatchFailure[] = []
  const failed = (index: number, { id }: Lease, error: unknown): void => {
    const known = error instanceof LeaseLostError || error instanceof TypeError
    failures.push({ index, error: known ? error : queueFault(queue, `${verb} task ${id}`, error) })
  }
  await queue.pace.each(leases, (lease, index) => {
    try {
      const done = work(lease)
      return done instanceof Promise ? done.catch((error: unknown) => failed(index, lease, error)) : done
    } catch (error) {
      return failed(index, lease, error)
    }
  })
  return failures.sort((a, b) => a.index - b.index)
}

/** The first time from `start` under which the task isn't known yet: its history must show the end of this attempt. */
async function unusedTime(queue: FileQueue, id: string, start: number, step: number): Promise<number> {
  const names = await queue.history.names(id)
  let time = start
  while (nameOf(time, id) === names[0] || nameOf(time, id) === names.at(-1)) time += step
  return time
}

export async function renew(queue: FileQueue, leases: readonly Lease[], seconds: number): Promise<BatchFailure[]> {
  await queue.clock.ready()
  return eachLease(queue, 'Renewing', leases, async lease => {
    const { from } = heldOf(queue, lease)
    const now = queue.clock.nowSeconds
    // A lease that ends now must not end under the name it began with: its attempt would not be seen.
    const end = seconds > 0 ? Math.ceil(now + seconds) : Math.floor(now)
    await moveHeld(queue, lease, end === from ? end - 1 : end)
  })
}

/**
 * Without a failure the task gets the name back that it was leased from; with a delay, a new beginning. With a failure the
 * order is: prolong the lease, which proves that it is ours; write the failure down; rename. A death between two steps
 * leaves a lease that runs out, and counts the attempt once.
 */
export async function release(
  queue: FileQueue,
  leases: readonly Lease[],
  { delaySeconds, failure }: { delaySeconds: number; failure?: Failure },
): Promise<BatchFailure[]> {
  await queue.clock.ready()
  return eachLease(queue, 'Releasing', leases, async lease => {
    const { from } = heldOf(queue, lease)
    if (failure === undefined && delaySeconds === 0) {
      await moveHeld(queue, lease, from)
    } else {
      await moveHeld(queue, lease, Math.ceil(queue.clock.nowSeconds + RECORDING_SECONDS))
      const now = queue.clock.nowSeconds
      const available =
        delaySeconds > 0
          ? await unusedTime(queue, lease.id, Math.ceil(now + delaySeconds), 1)
          : await unusedTime(queue, lease.id, Math.floor(now), -1)
      if (failure === undefined) await queue.history.postponed(lease.id, nameOf(available, lease.id))
      else await queue.history.failed(lease.id, failure, available)
      await moveHeld(queue, lease, available)
    }
    giveUp(lease)
  })
}

/** A death between the removal and the tally leaves a completion uncounted: only who removed a task counts it. */
export async function remove(
  queue: FileQueue,
  leases: readonly Lease[],
  { tally }: { tally: boolean },
): Promise<BatchFailure[]> {
  const { layout, pace, history } = queue
  const noHistory = leases.length >= MANY_DELETES && (await history.isEmpty())
  let removed = 0
  const removing = (lease: Lease, wasThere: boolean): Awaitable<void> => {
    if (!wasThere) throw leaseLost(queue, lease.id)
    removed++
    giveUp(lease)
    return noHistory ? undefined : history.forget(lease.id)
  }
  const failures = await eachLease(queue, 'Deleting', leases, lease => {
    const wasThere = pace.calls.unlink(heldPath(queue, lease), 'there')
    return wasThere instanceof Promise ? wasThere.then(there => removing(lease, there)) : removing(lease, wasThere)
  })
  if (removed > 0) {
    await pace.settle(layout.queue)
    if (tally) await addCompletions(queue, removed)
  }
  return failures
}

/** Ends a lease of whomever; see `endOfLease` for the choice of the time. `false`: it had ended by itself. */
export async function endLease(queue: FileQueue, held: TaskName): Promise<boolean> {
  const { layout, pace, clock } = queue
  const now = Math.floor(clock.nowSeconds)
  const available = await unusedTime(queue, held.id, (held.available - now) % 2 === 0 ? now : now - 1, -2)
  return await pace.calls.rename(inside(layout.queue, held.name), inside(layout.queue, nameOf(available, held.id)))
}
