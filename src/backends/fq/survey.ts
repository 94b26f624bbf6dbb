/** Looking at the whole queue: counts, list, releaseAll. Each reads `queue/` as a stream. */
import type { Counts, ListedMessage, MessageState } from '../../backend.js'
import { IdSet } from '../../id-set.js'
import { breathe } from './breathe.js'
import { readCompletions, zeroCompletions } from './completions.js'
import { textOfNoFile } from './file-system.js'
import { endLease } from './finishing.js'
import { changeInsertions, readInsertions } from './insertions.js'
import { inside, requireQueue } from './layout.js'
import { parseName, type TaskName } from './names.js'
import { pause } from './pause.js'
import { type FileQueue, queueFault } from './queue.js'

// Kernels date changes by a clock that ticks every 10 ms or more often; ours follows the filesystem's within 3 ms.
const TICK_MS = 25

// An empty folder in which names come and go all the time is looked at so often; one of another machine, whose changes can't be
// told, a few times.
const MOST_EMPTY_LOOKS = 20
const EMPTY_LOOKS = 3

// A reading of a busy folder leaves out some names in a hundred, and a second one as many of these.
const QUIET_READINGS = 2
const MOST_READINGS = 20

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

/**
 * The tally of `queue/`. A file that is renamed while its folder is read can be left out, and a wrong zero would end the waiting
 * for an empty queue. So a zero counts where the folder did not change while it was read, or when it was found many times.
 */
async function tallySurely(queue: FileQueue): Promise<Tally> {
  const { pace } = queue
  const looks = pace.knowsNames ? MOST_EMPTY_LOOKS : EMPTY_LOOKS
  for (let look = 1; ; look++) {
    const watch = new FolderWatch(queue)
    await watch.begin()
    const tally = await tallyNames(queue)
    if (tally.enqueued > 0 || look === looks || (await watch.sawNoChange())) return tally
    await pause(TICK_MS, [])
  }
}

/** Throws where there is no queue; makes and writes nothing that stays. */
export async function count(queue: FileQueue): Promise<Counts> {
  return guarded(queue, 'Counting', async () => {
    const tally = await tallySurely(queue)
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

/**
 * Each task that is there at the beginning, once, unless it is removed before it is read; those that come meanwhile may be left out.
 *
 * A file that is renamed while its folder is read can be left out, or be met under both names. So what was met is remembered, and
 * the folder is read again until it did not change during a reading, or two readings have met nothing that was left out.
 */
export async function* list(
  queue: FileQueue,
  wanted: (id: string) => boolean,
): AsyncGenerator<ListedMessage, void, undefined> {
  await guarded(queue, 'Listing', async () => undefined)
  const startSeconds = queue.clock.nowSeconds
  const met = new IdSet()
  let renamed: readonly string[] = []
  let quietReadings = 0
  for (let reading = 0; reading < MOST_READINGS && quietReadings < QUIET_READINGS; reading++) {
    const watch = new FolderWatch(queue)
    await guarded(queue, 'Listing', () => watch.begin())
    let isQuiet = reading > 0
    const unread: string[] = []
    for await (const names of namesIn(queue, queue.layout.queue)) {
      const tasks = parsed(names).filter(({ id }) => !met.has(id) && (wanted(id) || !met.add(id)))
      if (tasks.length === 0) continue
      const found: ListedMessage[] = []
      await guarded(queue, 'Listing', async () => {
        const now = queue.clock.nowSeconds
        const leases = await leasesAmong(queue, tasks)
        await queue.pace.each(tasks, async task => {
          const path = inside(queue.layout.queue, task.name)
          if (reading > 0 && isQuiet && (await isOlder(queue, path, startSeconds))) isQuiet = false
          const body = await readTask(queue, path)
          if (body === undefined) unread.push(task.id)
          else if (met.add(task.id)) {
            const state: MessageState = leases.has(task) ? 'leased' : task.available > now ? 'delayed' : 'ready'
            const left = task.available - now
            found.push({ id: task.id, body, state, ...(left > 0 && { availableInSeconds: left }) })
          }
        })
      })
      yield* found
    }
    renamed = unread.filter(id => !met.has(id))
    if (renamed.length === 0 && (await guarded(queue, 'Listing', () => watch.sawNoChange()))) return
    quietReadings = isQuiet && renamed.length === 0 ? quietReadings + 1 : 0
  }
  if (renamed.length > 0) {
    throw new Error(
      `Listing ${queue.label}: ${renamed.length} of its tasks were renamed in each of ${MOST_READINGS} readings before they could ` +
        `be read: ${renamed.slice(0, 10).join(', ')}. All others were listed. Try again when its workers are less busy.`,
    )
  }
}

/** `false` also where it is gone. */
async function isOlder({ pace }: FileQueue, path: string, seconds: number): Promise<boolean> {
  const facts = await pace.calls.stat(path)
  return facts !== undefined && facts.modifiedMs / 1000 < seconds
}

/** Tells whether `queue/` changed while it was read. */
class FolderWatch {
  readonly #queue: FileQueue
  #changedMs: number | undefined

  constructor(queue: FileQueue) {
    this.#queue = queue
  }

  /** Before the reading. */
  async begin(): Promise<void> {
    const { pace, clock, layout } = this.#queue
    // What a network filesystem says of a folder may be a minute old.
    if (!pace.knowsNames) return
    const nowMs = clock.nowSeconds * 1000
    const facts = await pace.calls.stat(layout.queue)
    // A change in the same tick of the clock as the last one would not be seen.
    if (facts !== undefined && nowMs - facts.modifiedMs > TICK_MS) this.#changedMs = facts.modifiedMs
  }

  /** After the reading. `false`: it did, or nothing tells. */
  async sawNoChange(): Promise<boolean> {
    const { pace, layout } = this.#queue
    if (this.#changedMs === undefined) return false
    return (await pace.calls.stat(layout.queue))?.modifiedMs === this.#changedMs
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

/** Runs `work` on a queue that is there, at a time that is known. */
export async function guarded<T>(queue: FileQueue, verb: string, work: () => Promise<T>): Promise<T> {
  await requireQueue(queue.pace, queue.layout)
  try {
    await queue.clock.ready()
    return await work()
  } catch (error) {
    throw queueFault(queue, verb, error)
  }
}
