/** Scans of the whole queue: counts, list, releaseAll. Each reads `queue/` as a stream. */
import type { Counts } from '../../backend/backend.js'
import type { ListedMessage, MessageState } from '../../backend/messages.js'
import { tasksOfMessage } from '../../backend/pack-ids.js'
import { sleep } from '../../time/sleep.js'
import { textOfNoFile } from './file-system.js'
import { changeInsertions, readInsertions } from './insertions.js'
import { inside } from './layout.js'
import { endLease } from './lease-changes.js'
import type { TaskName } from './names.js'
import type { FileQueue } from './queue.js'
import { eachOnce, FolderWatch, guarded, namesIn, parsed, tickMs } from './reading.js'

// Number of checks of an empty folder in which names appear and disappear all the time; fewer on another machine, whose
// changes can't be detected.
const maxEmptyLooks = 20
const emptyLooks = 3

/** Those of `names` that are leases: in the future, and no delay. Records are read for names in the future only. */
async function leasesAmong(queue: FileQueue, names: readonly TaskName[]): Promise<Set<TaskName>> {
  const now = queue.clock.nowSeconds
  const future = names.filter(({ available }) => available > now)
  const leases = new Set(future)
  if (future.length === 0 || (await queue.history.isEmpty())) return leases
  await queue.io.each(future, async name => {
    if (await queue.history.isDelay(name)) leases.delete(name)
  })
  return leases
}

interface TaskCounts {
  enqueued: number
  messages: number
  leased: number
  delayed: number
  foreign: number
}

async function countNames(queue: FileQueue): Promise<TaskCounts> {
  const tally: TaskCounts = { enqueued: 0, messages: 0, leased: 0, delayed: 0, foreign: 0 }
  for await (const names of namesIn(queue, queue.layout.queue)) {
    const tasks = parsed(names)
    const leases = await leasesAmong(queue, tasks)
    const now = queue.clock.nowSeconds
    tally.messages += tasks.length
    tally.foreign += names.length - tasks.length
    for (const task of tasks) {
      const count = tasksOfMessage(task.id)
      tally.enqueued += count
      if (leases.has(task)) tally.leased += count
      else if (task.available > now) tally.delayed += count
    }
  }
  return tally
}

/**
 * The tally of `queue/`. A file that is renamed while its folder is read can be left out, and a wrong zero would end the waiting
 * for an empty queue. So a zero counts where the folder did not change while it was read, or when it was found many times.
 */
async function countReliably(queue: FileQueue): Promise<TaskCounts> {
  const { io } = queue
  const looks = io.knowsNames ? maxEmptyLooks : emptyLooks
  for (let look = 1; ; look++) {
    const watch = new FolderWatch(queue)
    await watch.begin()
    const tally = await countNames(queue)
    if (tally.enqueued > 0 || look === looks || (await watch.sawNoChange())) return tally
    await sleep(tickMs)
  }
}

/** Throws where there is no queue; makes and writes nothing that stays. */
export async function count(queue: FileQueue): Promise<Counts> {
  return guarded(queue, 'Counting', async () => {
    const tally = await countReliably(queue)
    let quarantined = 0
    for await (const names of namesIn(queue, queue.layout.quarantine)) {
      quarantined += names.filter(name => name.endsWith('.json')).length
    }
    const inserted = await readInsertions(queue)
    const completed = await queue.completions.read()
    const { messages, ...tasks } = tally
    return { ...tasks, ...(messages !== tasks.enqueued && { messages }), inserted, completed, quarantined }
  })
}

/** `undefined`: it is gone. */
async function readTask({ io }: FileQueue, path: string): Promise<string | undefined> {
  try {
    return await io.calls.read(path, 'size first')
  } catch (error) {
    return textOfNoFile(error)
  }
}

/** Each task that is there at the beginning, once, unless it is removed before it is read; see `eachOnce`. */
export async function* list(
  queue: FileQueue,
  wanted: (id: string) => boolean,
): AsyncGenerator<ListedMessage, void, undefined> {
  const messages = eachOnce<ListedMessage>(queue, 'Listing', wanted, async tasks => {
    const now = queue.clock.nowSeconds
    const leases = await leasesAmong(queue, tasks)
    return async task => {
      const body = await readTask(queue, inside(queue.layout.queue, task.name))
      if (body === undefined) return undefined
      const state: MessageState = leases.has(task) ? 'leased' : task.available > now ? 'delayed' : 'ready'
      const left = task.available - now
      return { id: task.id, body, state, ...(left > 0 && { availableInSeconds: left }) }
    }
  })
  for await (const some of messages) yield* some
}

/** Ends the leases that are there at the beginning; resolves with how many tasks they had. Those that end during the call are not counted; delays stay. */
export async function releaseAll(queue: FileQueue): Promise<number> {
  const outcomes = eachOnce(
    queue,
    'Releasing all leases',
    () => true,
    async tasks => {
      const leases = await leasesAmong(queue, tasks)
      return async task => {
        if (!leases.has(task)) return 0
        return (await endLease(queue, task)) ? tasksOfMessage(task.id) : undefined
      }
    },
  )
  let released = 0
  for await (const some of outcomes) for (const tasks of some) released += tasks
  return released
}

/** Sets both counters to 0. */
export async function rezero(queue: FileQueue): Promise<void> {
  return guarded(queue, 'Setting the counters to zero', async () => {
    await queue.completions.zero()
    await changeInsertions(queue, () => 0)
  })
}
