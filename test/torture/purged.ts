/** The queue that is purged while the same tasks are uploaded into it under one name. */
import { partial, type TaskQueueOptions } from 'ptq'
import { counted } from '#ptq/text/counted.js'
import { open, type Queues } from './process-options.js'
import { keyIn, keyOf, leaveTrace } from './tasks.js'

export const PURGED_UPLOAD = 'purged'

const UPLOAD_TASKS = 1_000

export function purgedTasks(ledger: string) {
  return Array.from({ length: UPLOAD_TASKS }, (_, index) =>
    partial(leaveTrace, keyOf('n', 'inserted', '0', index), ledger),
  )
}

/** Purges the queue once more, without concurrent work, and uploads all. @returns the faults */
export async function checkPurged(
  { purged }: Pick<Queues, 'purged'>,
  options: TaskQueueOptions,
  ledger: string,
): Promise<string[]> {
  await using tq = open(purged, options)
  const faults: string[] = []
  const compare = async (when: string, expected: number) => {
    const { inserted, enqueued } = await tq.status()
    if (inserted !== expected) faults.push(`${when}, inserted is ${inserted} and not ${expected}`)
    if (enqueued !== expected)
      faults.push(`${when}, ${counted(enqueued, 'task is', 'tasks are')} queued and not ${expected}`)
  }
  await tq.purge()
  await compare('after the purge of a queue with cut-off uploads', 0)
  await tq.insert(purgedTasks(ledger), { resume: PURGED_UPLOAD })
  await compare('after an upload that follows the purge', UPLOAD_TASKS)
  const keys = new Set<string>()
  for await (const task of tq.tasks()) keys.add(keyIn(task))
  if (keys.size !== UPLOAD_TASKS)
    faults.push(`of ${UPLOAD_TASKS} tasks that were uploaded after a purge, ${counted(keys.size, 'is', 'are')} there`)
  return faults
}
