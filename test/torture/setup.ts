/** The beginning of a torture: a task in each queue, for a `ptq` command of a queue that isn't there fails. */
import { partial, type TaskQueueOptions } from 'ptq'
import { note } from './ledger.js'
import { open, type Queues } from './process-options.js'
import { keyOf, leaveTrace } from './tasks.js'

export async function openQueues(queues: Queues, options: TaskQueueOptions, ledger: string): Promise<void> {
  const { main, intake, transit, backup, depot, purged } = queues
  const places = [
    ['main', main, 'inserted'],
    ['intake', intake, 'handed'],
    ['transit', transit, 'carried'],
    ['depot', depot, 'stored'],
    ['backup', backup, 'inserted'],
    ['purged', purged, 'inserted'],
  ] as const
  for (const [index, [name, url, way]] of places.entries()) {
    await using tq = open(url, options)
    const key = keyOf('n', way, '0', index)
    // Tasks that are only in the copy, or purged, never run.
    const isRun = name !== 'backup' && name !== 'purged'
    if (isRun) note(ledger, 'intend', [key])
    await tq.insert(partial(leaveTrace, key, ledger))
    if (isRun) note(ledger, 'inserted', [key])
  }
}

/** Inserts a task that kills each worker that runs it. */
export async function insertPoison(
  { main }: Queues,
  options: TaskQueueOptions,
  ledger: string,
  index: number,
): Promise<void> {
  await using tq = open(main, options)
  const key = keyOf('k', 'inserted', '0', index)
  note(ledger, 'intend', [key])
  await tq.insert(partial(leaveTrace, key, ledger))
  note(ledger, 'inserted', [key])
}
