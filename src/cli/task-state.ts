/** The state of a task as `ls` and `show` print it: when it is due or its lease ends, and which worker runs it. */
import type { ListedTask, TaskQueue, WorkerStatus } from '../index.js'
import { readWorkers } from '../overview/overview.js'
import { duration } from '../terminal/duration.js'
import { printable } from './printing.js'

/** The worker that reports a task as running, by the task's id. */
export type Holders = ReadonlyMap<string, WorkerStatus>

export const noHolders: Holders = new Map()

/** Reads the last status of the workers of a queue; a worker with many tasks names the oldest 100. */
export async function readHolders(queue: TaskQueue): Promise<Holders> {
  const workers = (await readWorkers(queue)) ?? []
  return new Map(workers.flatMap(worker => worker.running.map(({ id }) => [id, worker] as const)))
}

/** e.g. `leased (ends in 9m58s, node-1 process 7)`, `delayed (due in 59m)` */
export function stateText({ id, availableInSeconds }: ListedTask, state: string, holders: Holders): string {
  if (availableInSeconds === undefined) return state
  const holder = state === 'leased' ? holders.get(id) : undefined
  const when = `${state === 'leased' ? 'ends' : 'due'} in ${duration(availableInSeconds)}`
  return `${state} (${when}${holder === undefined ? '' : `, ${printable(holder.host)} process ${holder.pid}`})`
}

/** The same as fields of JSON. */
export function timesOf({ id, availableInSeconds }: ListedTask, holders: Holders) {
  const holder = holders.get(id)
  return {
    ...(availableInSeconds !== undefined && { availableInSeconds }),
    ...(holder !== undefined && { holder: { host: holder.host, pid: holder.pid } }),
  }
}
