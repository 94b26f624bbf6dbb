/** Looking at the whole queue: counts, list, releaseAll, purge. Each reads `queue/` once, as a stream, at flat memory. */
import type { Counts, ListedMessage, MessageState } from '../../backend.js'
import { breathe } from './breathe.js'
import { readCompletions, zeroCompletions } from './completions.js'
import { textOfNoFile } from './file-system.js'
import { endLease } from './finishing.js'
import { changeInsertions, readInsertions } from './insertions.js'
import { inside, requireQueue } from './layout.js'
import { parseName, type TaskName } from './names.js'
import { type FileQueue, queueFault } from './queue.js'
import { removeTree } from './uploads.js'

/** The names in a folder, some at a time; nothing where there is no folder. */
export async function* namesIn({ pace }: FileQueue, path: string): AsyncGenerator<readonly string[], void, undefined> {
  const folder = await pace.calls.openFolder(path)
  if (folder === undefined) return
  try {
    for (let names = await folder.read(); names.length > 0; names = await folder.read()) {
      yield names
      const turn = breathe(performance.now())
      if (turn !== undefined) await turn
    }
  } finally {
    await folder.close()
  }
}

/** Those of `names` that are leases: in the future, and no delay. Records are read for names in the future only. */
async function leasesAmong(queue: FileQueue, names: readonly TaskName[]): Promise<Set<TaskName>> {
  const now = queue.clock.nowSeconds
  const future = names.filter(({ available }) => available > now)
  const leases = new Set(future)
  if (future.length === 0 || (await queue.history.isEmpty())) return leases
  await queue.pace.each(future, async name => {
    if (await queue.history.isDelay(name)) leases.delete(name)
  })
  return leases
}

/** Those that are tasks' names. */
export function parsed(names: readonly string[]): TaskName[] {
  return names.flatMap(name => parseName(name) ?? [])
}

interface Tally {
  enqueued: number
  leased: number
  delayed: number
  foreign: number
}

async function tallyNames(queue: FileQueue): Promise<Tally> {
  const tally: Tally = { enqueued: 0, leased: 0, delayed: 0, foreign: 0 }
  for await (const names of namesIn(queue, queue.layout.queue)) {
    const tasks = parsed(names)
    const leases = await leasesAmong(queue, tasks)
    const now = queue.clock.nowSeconds
    tally.enqueued += tasks.length
    tally.foreign += names.length - tasks.length
    tally.leased += leases.size
    tally.delayed += tasks.filter(task => task.available > now && !leases.has(task)).length
  }
  return tally
}

/** Throws where there is no queue; makes and writes nothing that stays. */
export async function count(queue: FileQueue): Promise<Counts> {
  return guarded(queue, 'Counting', async () => {
    let tally = await tallyNames(queue)
    // A file that is renamed while its folder is read can be missed. A wrong zero would end the waiting for an empty queue,
    // so it is looked at twice.
    if (tally.enqueued === 0) tally = await tallyNames(queue)
    let quarantined = 0
    for await (const names of namesIn(queue, queue.layout.quarantine)) {
      quarantined += names.filter(name => name.endsWith('.json')).length
    }
    const inserted = await readInsertions(queue)
    const completed = await readCompletions(queue)
    return { ...tally, inserted, completed, quarantined }
  })
}

/** `undefined`: it is gone. */
async function readTask({ pace }: FileQueue, path: string): Promise<string | undefined> {
  try {
    return await pace.calls.read(path, 'size first')
  } catch (error) {
    return textOfNoFile(error)
  }
}

/** A task that is renamed or removed during the look can be missed, or shown in both of its states. */
export async function* list(
  queue: FileQueue,
  wanted: (id: string) => boolean,
): AsyncGenerator<ListedMessage, void, undefined> {
  await guarded(queue, 'Listing', async () => undefined)
  for await (const names of namesIn(queue, queue.layout.queue)) {
    const tasks = parsed(names).filter(({ id }) => wanted(id))
    const found: ListedMessage[] = []
    await guarded(queue, 'Listing', async () => {
      const now = queue.clock.nowSeconds
      const leases = await leasesAmong(queue, tasks)
      await queue.pace.each(tasks, async task => {
        const body = await readTask(queue, inside(queue.layout.queue, task.name))
        const state: MessageState = leases.has(task) ? 'leased' : task.available > now ? 'delayed' : 'ready'
        if (body !== undefined) found.push({ id: task.id, body, state })
      })
    })
    yield* found
  }
}

/** Ends all leases; resolves with how many. Those that end meanwhile are not counted; delays stay. */
export async function releaseAll(queue: FileQueue): Promise<number> {
  return guarded(queue, 'Releasing all leases', async () => {
    let released = 0
    for await (const names of namesIn(queue, queue.layout.queue)) {
      await queue.pace.each([...(await leasesAmong(queue, parsed(names)))], async held => {
        if (await endLease(queue, held)) released++
      })
    }
    return released
  })
}

/** Sets both counters to 0. */
export async function rezero(queue: FileQueue): Promise<void> {
  return guarded(queue, 'Setting the counters to zero', async () => {
    await zeroCompletions(queue)
    await changeInsertions(queue, () => 0)
  })
}

/** Removes all tasks, their histories, what was quarantined and the journals of uploads, and sets the counters to 0. Foreign files stay. */
export async function purge(queue: FileQueue): Promise<void> {
  const { layout, pace } = queue
  await guarded(queue, 'Purging', async () => {
    // Some filesystems leave out names when a folder is changed while it is read, hence again until nothing is found.
    let removed: number
    do {
      removed = 0
      for await (const names of namesIn(queue, layout.queue)) {
        await pace.each(parsed(names), async ({ name }) => {
          if (await pace.calls.unlink(inside(layout.queue, name), 'there')) removed++
        })
      }
    } while (removed > 0)
    for (const folder of [layout.movement, layout.failures, layout.quarantine]) {
      for await (const names of namesIn(queue, folder)) {
        await pace.each(names, async name => {
          await pace.calls.unlink(inside(folder, name), 'there')
        })
      }
    }
    await removeTree(queue, layout.uploads)
    await removeTree(queue, layout.listing)
    await pace.settle(layout.queue)
  })
  await rezero(queue)
}

/** Runs `work` on a queue that is there, at a time that is known. */
async function guarded<T>(queue: FileQueue, verb: string, work: () => Promise<T>): Promise<T> {
  await requireQueue(queue.pace, queue.layout)
  try {
    await queue.clock.ready()
    return await work()
  } catch (error) {
    throw queueFault(queue, verb, error)
  }
}
