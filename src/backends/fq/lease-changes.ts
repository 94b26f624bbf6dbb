/** Renew, release and delete of leased tasks. Each finds the task by the held name, or not at all. */
import { randomUUID } from 'node:crypto'
import type { BatchFailure, Failure, Lease } from '../../backend/messages.js'
import { LeaseLostError, MessageRefusedError } from '../../errors/errors.js'
import { isErrorNamed } from '../../errors/thrown.js'
import { elapsedMs } from '../../time/clock.js'
import { type Awaitable, isPromise } from './awaitable.js'
import { renameExclusively } from './exclusive-rename.js'
import { codeOfNoFile } from './file-system.js'
import { claimHeld, handleOf, heldPath, invalidate, moveHeld } from './handle.js'
import { inside } from './layout.js'
import { endOfLease, isClaim, nameOf, releasedTime, type TaskName } from './names.js'
import { type FileQueue, leaseLost, queueFault } from './queue.js'
import { prolong, releaseUncounted, writingSeconds } from './release.js'

// From this number of deletes on it pays to check once whether any task has a history.
const manyDeletes = 16

// A lease is extended by this for the line that records that its task runs alone. Even, see `endOfLease`.
const minSeconds = 2

async function eachLease(
  queue: FileQueue,
  verb: string,
  leases: readonly Lease[],
  work: (lease: Lease, index: number) => Awaitable<void>,
): Promise<BatchFailure[]> {
  const failures: BatchFailure[] = []
  const failed = (index: number, { id }: Lease, error: unknown): void => {
    const known = error instanceof LeaseLostError || isErrorNamed(error, 'TypeError')
    failures.push({ index, error: known ? error : taskFault(queue, verb, id, error) })
  }
  await queue.io.each(leases, (lease, index) => {
    try {
      const done = work(lease, index)
      return isPromise(done) ? done.catch((error: unknown) => failed(index, lease, error)) : done
    } catch (error) {
      return failed(index, lease, error)
    }
  })
  return failures.sort((a, b) => a.index - b.index)
}

/** The error of one task: something that can't be its file or record is no fault of the queue. */
function taskFault(queue: FileQueue, verb: string, id: string, cause: unknown): Error {
  const fault = queueFault(queue, `${verb} task ${id}`, cause)
  return codeOfNoFile(cause) === undefined ? fault : new MessageRefusedError(fault.message, { id, cause })
}

/**
 * The first time from `start` that isn't in the task's names yet: its history must show the end of this attempt, and
 * former holders that know the task by earlier names must not find it.
 */
async function unusedTime(queue: FileQueue, id: string, start: number, step: number): Promise<number> {
  const names = new Set(await queue.history.names(id))
  let time = start
  while (names.has(nameOf(time, id))) time += step
  return time
}

/** This second or the one before, whichever is even where `time` is even; see `endOfLease`. */
function pastLike(nowSeconds: number, time: number): number {
  const now = Math.floor(nowSeconds)
  return (time - now) % 2 === 0 ? now : now - 1
}

export async function renew(queue: FileQueue, leases: readonly Lease[], seconds: number): Promise<BatchFailure[]> {
  await queue.clock.ready()
  return eachLease(queue, 'Renewing', leases, async lease => {
    const { from } = handleOf(queue, lease)
    const now = queue.clock.nowSeconds
    const end = seconds > 0 ? endOfLease(now + seconds, from) : Math.floor(now)
    // A lease that ends now must not end under the name it began with: its attempt would not be seen.
    await moveHeld(queue, lease, end === from ? end - 1 : end)
  })
}

/**
 * Without a failure the task is as if it had not been leased, see `release.ts`; with a delay, it has a new first name.
 * With a failure the order is: extend the lease, which proves that it is ours; record the failure; rename. A death
 * between two steps leaves a lease that expires, and counts the attempt once.
 */
export async function release(
  queue: FileQueue,
  leases: readonly Lease[],
  { delaySeconds, failure }: { delaySeconds: number; failure?: Failure },
): Promise<BatchFailure[]> {
  await queue.clock.ready()
  return eachLease(queue, 'Releasing', leases, async lease => {
    if (failure === undefined && delaySeconds === 0) return releaseUncounted(queue, lease)
    const { from } = handleOf(queue, lease)
    await prolong(queue, lease)
    const now = queue.clock.nowSeconds
    const available =
      delaySeconds > 0
        ? await unusedTime(queue, lease.id, endOfLease(now + delaySeconds, from), 2)
        : await unusedTime(queue, lease.id, pastLike(now, from), -2)
    if (failure === undefined) await queue.history.postponed(lease.id, nameOf(available, lease.id))
    else await queue.history.failed(lease.id, failure, available)
    await moveHeld(queue, lease, available)
    invalidate(lease)
  })
}

/**
 * A death between the removal and the tally leaves a completion uncounted: only the process that removed a task counts
 * it.
 */
export async function remove(
  queue: FileQueue,
  leases: readonly Lease[],
  options: { tally: boolean; mayTallyLater?: boolean; completions?: readonly number[] },
): Promise<BatchFailure[]> {
  const { layout, io, history, completions } = queue
  const noHistory = leases.length >= manyDeletes && (await history.isEmpty())
  // Of a task that was leased for the first time only Python writes a record.
  const noHistoryOfNew = noHistory || (!io.knowsNames && (await history.wasEmpty()))
  let removed = 0
  let completed = 0
  const removing = (lease: Lease, index: number, from: number, wasThere: boolean): Awaitable<void> => {
    if (!wasThere) throw leaseLost(queue, lease.id)
    removed++
    completed += options.completions?.[index] ?? 1
    invalidate(lease)
    return (from === 0 ? noHistoryOfNew : noHistory) ? undefined : history.forget(lease.id)
  }
  const failures = await eachLease(queue, 'Deleting', leases, (lease, index) => {
    const { until, from } = handleOf(queue, lease)
    const wasThere = io.calls.unlink(inside(layout.queue, nameOf(until, lease.id)), 'there')
    return isPromise(wasThere)
      ? wasThere.then(there => removing(lease, index, from, there))
      : removing(lease, index, from, wasThere)
  })
  if (removed > 0) {
    await io.sync(layout.queue)
    const { tally, mayTallyLater = false } = options
    if (tally && completed > 0) await completions.add(completed, { mayBeLate: mayTallyLater })
  }
  return failures
}

/**
 * Replaces the text of a held task's file by a rename onto it. A rename makes its goal where there is none, which would be the task a
 * second time once another process holds it. So the lease is renewed first, which proves that it is ours, and lasts far longer than the
 * rename that follows at once; a process that stood still in between leaves the file as it is.
 */
export async function replace(queue: FileQueue, lease: Lease, body: string): Promise<void> {
  const { layout, io, clock } = queue
  await clock.ready()
  const staged = inside(layout.staging, `${lease.id}.${randomUUID().slice(0, 8)}`)
  const { until, from } = handleOf(queue, lease)
  try {
    await io.write(staged, body, 'w')
    const startMs = elapsedMs()
    const soonest = endOfLease(clock.nowSeconds + writingSeconds, from)
    const end = isClaim(until) ? soonest : Math.max(until + minSeconds, soonest)
    if (io.knowsNames) await moveHeld(queue, lease, end)
    else await claimHeld(queue, lease)
    try {
      if (elapsedMs() - startMs > (writingSeconds * 1000) / 4) throw new Error('The process stood still for too long')
      await io.calls.rename(staged, heldPath(queue, lease))
    } finally {
      // A claim ends sooner than its holder renews a lease.
      if (!io.knowsNames) await moveHeld(queue, lease, end)
    }
    await io.sync(layout.queue)
  } catch (error) {
    await io.calls.unlink(staged, 'absent')
    throw error instanceof LeaseLostError ? error : taskFault(queue, 'Replacing the text of', lease.id, error)
  }
}

/** Ends a lease of any holder: the task is released, and no attempt is counted. `false`: it had ended by itself. */
export async function endLease(queue: FileQueue, { id, name, available }: TaskName): Promise<boolean> {
  const { layout, io } = queue
  const path = inside(layout.queue, nameOf(releasedTime(available), id))
  return await renameExclusively(io, layout.queue, id, inside(layout.queue, name), path)
}

/**
 * Records that the task runs alone. Throws LeaseLostError if the lease has ended: a rename proves that it hasn't, while
 * a check may be answered from this host's cache. The lease ends no sooner than before.
 */
export async function runsAlone(queue: FileQueue, lease: Lease): Promise<void> {
  const { io, history, clock } = queue
  await clock.ready()
  const { until, from } = handleOf(queue, lease)
  // Not much later, or the task of a holder that dies would wait for long. Even if `until` is even, see `endOfLease`.
  const soonest = endOfLease(clock.nowSeconds + (isClaim(until) ? writingSeconds : minSeconds), from)
  const end = isClaim(until) ? soonest : Math.max(until + minSeconds, soonest)
  if (io.knowsNames) await moveHeld(queue, lease, end)
  else await claimHeld(queue, lease)
  try {
    await history.runsAlone(lease.id, lease.attempt)
  } catch (error) {
    throw taskFault(queue, 'Writing that nothing runs beside', lease.id, error)
  } finally {
    if (!io.knowsNames) await moveHeld(queue, lease, end)
  }
}
