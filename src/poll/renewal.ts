/** Renews leases of a worker's tasks, once. `LeaseKeeper` decides when, and repeats what failed. */
import { LeaseLostError } from '../errors/errors.js'
import type { LeasedTask } from '../queue/queued-task.js'
import { leaseSeconds, requireSeconds } from '../time/seconds.js'
import type { WorkerDependencies } from './worker-dependencies.js'

/**
 * Makes leases end `seconds` from now.
 * @returns those that are lost, with their errors
 * @throws TypeError unless `seconds` is a time that the queue supports; any error of the queue but a lost lease
 */
export async function renewTasks(
  { backend, leasing, events }: WorkerDependencies,
  tasks: readonly LeasedTask[],
  seconds: number,
): Promise<ReadonlyMap<LeasedTask, Error>> {
  const rounded = leaseSeconds('seconds', requireSeconds('seconds', seconds), backend.capabilities, backend.label)
  const failed = await leasing.renew(backend, tasks, rounded)
  const lost = new Map<LeasedTask, Error>()
  let fault: Error | undefined
  for (const task of tasks) {
    const error = failed.get(task)
    if (error instanceof LeaseLostError) lost.set(task, error)
    else if (error !== undefined) fault = error
    else events.emit('renewed', { task, seconds: rounded })
  }
  // A retry of the others finds the lost leases again.
  if (fault !== undefined) throw fault
  return lost
}
