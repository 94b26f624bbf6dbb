/** The beginning of a torture: a task in each queue, for a `ptq` command of a queue that isn't there fails. */
import { partial, TaskQueue, type TaskQueueOptions } from 'ptq'
import { note } from './ledger.js'
import type { Queues } from './part.js'
import { keyOf, leaveTrace } from './tasks.js'

export async function openQueues(queues: Queues, options: TaskQueueOptions, ledger: string): Promise<void> {
  const { main, intake, transit, backup } = queues
  const places = [
    ['main', main, 'inserted'],
    ['intake', intake, 'handed'],
    ['transit', transit, 'carried'],
    ['backup', backup, 'inserted'],
  ] as const
  for (const [index, [name, url, way]] of places.entries()) {
    await using tq = new TaskQueue(url, options)
    const key = keyOf('n', way, '0', index)
    // What is only in the copy is never run.
    if (name !== 'backup') note(ledger, 'intend', [key])
    await tq.insert(partial(leaveTrace, key, ledger))
    if (name !== 'backup') note(ledger, 'inserted', [key])
  }
}
