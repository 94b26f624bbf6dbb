/** Lease, run, delete and tally, until `count` tasks are done. */
import { partial, TaskQueue } from 'ptq'
import { noop } from '../local/tasks.js'

// What a worker leases at once where tasks are short.
const DEFAULT_BATCH = 100

/** The queue of a case. */
export const openQueue = (dir: string) => new TaskQueue(`fq://${dir}/queue`, { progress: false })

function* tasks(n: number) {
  for (let index = 0; index < n; index++) yield partial(noop, index)
}

export async function fill(tq: TaskQueue, count: number): Promise<void> {
  await tq.insert(tasks(count), { total: count })
}

export async function drain(tq: TaskQueue, count: number, batch = DEFAULT_BATCH): Promise<void> {
  for (let left = count; left > 0; ) {
    const leased = await tq.lease({ seconds: 600, numTasks: Math.min(batch, left) })
    if (leased.length === 0) throw new Error(`Expected ${left} more tasks in the queue`)
    for (const task of leased) task.execute()
    await tq.delete(leased, { tally: true })
    left -= leased.length
  }
}
