/** `lease`, `renew`, `release` and `delete` of a TaskQueue, for callers without a worker. */
import { checkBoolean, checkNames, checkSignal } from '../errors/check-options.js'
import { argumentError } from '../errors/errors.js'
import { leaseSeconds, requireSeconds } from '../time/seconds.js'
import { type Failed, throwFailed } from './leasing.js'
import type { QueueConnection } from './queue-connection.js'
import type { LeasedTask } from './queued-task.js'
import type { LeaseOptions } from './task-queue-options.js'

type Tasks = LeasedTask | Iterable<LeasedTask>

/** Leases up to `numTasks` tasks. */
export async function leaseTasks({ backend, leasing }: QueueConnection, options: LeaseOptions): Promise<LeasedTask[]> {
  checkNames('options of lease', options, ['seconds', 'numTasks', 'waitSeconds', 'signal'])
  const { numTasks = 1 } = options
  const signal = checkSignal('signal', options.signal)
  const seconds = requireSeconds('seconds', options.seconds ?? 600)
  const waitSeconds = requireSeconds('waitSeconds', options.waitSeconds ?? 0, { zero: true })
  if (!Number.isInteger(numTasks) || numTasks < 1) throw argumentError('numTasks', 'an integer of 1 or more', numTasks)
  return backend.use(opened =>
    leasing.lease(opened, {
      seconds: leaseSeconds('seconds', seconds, opened.capabilities, opened.label),
      max: numTasks,
      waitSeconds,
      signal: signal === undefined ? backend.signal : AbortSignal.any([backend.signal, signal]),
    }),
  )
}

/** Makes leases end `seconds` from now. */
export async function renewLeases({ backend, leasing }: QueueConnection, tasks: Tasks, seconds: number): Promise<void> {
  requireSeconds('seconds', seconds)
  const held = leasing.require(tasks)
  await backend.use(async opened => {
    const rounded = leaseSeconds('seconds', seconds, opened.capabilities, opened.label)
    const failed = await leasing.renew(opened, held, rounded)
    throwFailed(failed, `${countText(held, failed)} leases were renewed in ${opened.label}`)
  })
}

/** Releases leases. */
export async function releaseLeases({ backend, leasing }: QueueConnection, tasks: Tasks): Promise<void> {
  const ours = leasing.require(tasks)
  await backend.use(async opened => {
    const failed = await leasing.release(opened, ours, { delaySeconds: 0 })
    throwFailed(failed, `${countText(ours, failed)} leases were released in ${opened.label}`)
  })
}

/** Deletes finished tasks; resolves with their number. */
export async function deleteTasks(
  { backend, leasing }: QueueConnection,
  tasks: Tasks,
  options: { tally?: boolean },
): Promise<number> {
  checkNames('options of delete', options, ['tally'])
  const tally = checkBoolean('tally', options.tally, false)
  const ours = leasing.require(tasks)
  return backend.use(async opened => {
    const failed = await leasing.delete(opened, ours, { tally })
    throwFailed(failed, `${countText(ours, failed)} tasks were deleted from ${opened.label}`)
    return ours.length
  })
}

function countText(tasks: readonly LeasedTask[], failed: Failed): string {
  return `${tasks.length - failed.size} of ${tasks.length}`
}
