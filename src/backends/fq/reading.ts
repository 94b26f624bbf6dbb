/** Reading `queue/` while its files are renamed: the names as a stream, and each task once. */
import { IdSet } from '../../backend/id-set.js'
import { sleep } from '../../time/sleep.js'
import { inside, requireQueue } from './layout.js'
import { parseName, type TaskName } from './names.js'
import { type FileQueue, queueFault } from './queue.js'
import { yieldIfBusy } from './yield-if-busy.js'

/** Kernels date changes by a clock that ticks every 10 ms or more often; ours follows the filesystem's within 3 ms. */
export const tickMs = 25

// A reading of a busy folder leaves out some names in a hundred, and a second one as many of these.
const enoughQuietReadings = 2

// Readings in a row without any of the wanted tasks that are enough.
const maxUselessReadings = 20

// Over a network a host may see names for some ten seconds that another one has changed. Pauses between readings that found only such
// names, doubled each time; all of them add up to half a minute.
const firstPauseMs = 100
const longestPauseMs = 2_000

/** The names in a folder, some at a time; nothing where there is no folder. */
export async function* namesIn({ io }: FileQueue, path: string): AsyncGenerator<readonly string[], void, undefined> {
  const folder = await io.calls.openFolder(path)
  if (folder === undefined) return
  try {
    for (let names = await folder.read(); names.length > 0; names = await folder.read()) {
      yield names
      const turn = yieldIfBusy(performance.now())
      if (turn !== undefined) await turn
    }
  } finally {
    await folder.close()
  }
}

/** Those that are tasks' names. */
export function parsed(names: readonly string[]): TaskName[] {
  return names.flatMap(name => parseName(name) ?? [])
}

/**
 * Does something with each task that is there at the beginning, once; those that come during the reading may be left out. Yields the
 * results.
 *
 * A file that is renamed while its folder is read can be missed, or be seen under both names. So what was seen is kept,
 * and the folder is read again until it did not change during a reading, or two readings have found nothing new. Each
 * reading but those found a task that was there at the beginning, so it ends also in a busy queue.
 *
 * @param taking gets tasks, gives the function that is called for each: `undefined` where the task has another name by now
 * @throws Error, in the end, where tasks were renamed in reading after reading before they could be taken
 */
export async function* eachOnce<T>(
  queue: FileQueue,
  verb: string,
  wanted: (id: string) => boolean,
  taking: (tasks: readonly TaskName[]) => Promise<(task: TaskName) => Promise<T | undefined>>,
): AsyncGenerator<readonly T[], void, undefined> {
  await guarded(queue, verb, async () => undefined)
  const startSeconds = queue.clock.nowSeconds
  const met = new IdSet()
  /** In how many readings each of those that were not taken was renamed. */
  const renamed = new Map<string, number>()
  let quietReadings = 0
  let inVain = 0
  for (let reading = 0; quietReadings < enoughQuietReadings && inVain < maxUselessReadings; reading++) {
    const watch = new FolderWatch(queue)
    await guarded(queue, verb, () => watch.begin())
    let metNew = reading === 0
    const missed = new Set<string>()
    for await (const names of namesIn(queue, queue.layout.queue)) {
      const tasks = parsed(names).filter(({ id }) => !met.has(id) && (wanted(id) || !met.add(id)))
      if (tasks.length === 0) continue
      const results: T[] = []
      await guarded(queue, verb, async () => {
        const take = await taking(tasks)
        await queue.io.each(tasks, async task => {
          if (met.has(task.id)) return
          const isSought = metNew || (await isOlder(queue, task, startSeconds))
          const result = await take(task)
          if (result === undefined) missed.add(task.id)
          else if (met.add(task.id)) {
            results.push(result)
            if (isSought) metNew = true
          }
        })
      })
      yield results
    }
    for (const id of missed) if (met.has(id)) missed.delete(id)
    for (const id of renamed.keys()) if (met.has(id)) renamed.delete(id)
    for (const id of missed) renamed.set(id, (renamed.get(id) ?? 0) + 1)
    if (missed.size === 0 && (await guarded(queue, verb, () => watch.sawNoChange()))) return
    quietReadings = metNew || missed.size > 0 ? 0 : quietReadings + 1
    inVain = metNew ? 0 : inVain + 1
    const isRepeated = inVain > 0 && inVain < maxUselessReadings
    if (missed.size > 0 && isRepeated && !queue.io.knowsNames) {
      await sleep(Math.min(longestPauseMs, firstPauseMs * 2 ** (inVain - 1)))
    }
  }
  // One that was finished or removed shows its old name once.
  const left = [...renamed].filter(([, times]) => times > 1).map(([id]) => id)
  if (inVain < maxUselessReadings || left.length === 0) return
  throw new Error(
    `${verb} ${queue.label}: ${left.length} of its tasks were renamed in each of ${maxUselessReadings} readings before they could ` +
      `be read: ${left.slice(0, 10).join(', ')}. All others were met. Try again when its workers are less busy.`,
  )
}

/** `false` also where it is gone. */
async function isOlder({ io, layout }: FileQueue, { name }: TaskName, seconds: number): Promise<boolean> {
  const facts = await io.calls.stat(inside(layout.queue, name))
  return facts !== undefined && facts.modifiedMs / 1000 < seconds
}

/** Detects changes of `queue/` during a reading. */
export class FolderWatch {
  readonly #queue: FileQueue
  #changedMs: number | undefined

  constructor(queue: FileQueue) {
    this.#queue = queue
  }

  /** Before the reading. */
  async begin(): Promise<void> {
    const { io, clock, layout } = this.#queue
    // The facts of a folder on a network filesystem may be a minute old.
    if (!io.knowsNames) return
    const nowMs = clock.nowSeconds * 1000
    const facts = await io.calls.stat(layout.queue)
    // A change in the same tick of the clock as the last one would not be seen.
    if (facts !== undefined && nowMs - facts.modifiedMs > tickMs) this.#changedMs = facts.modifiedMs
  }

  /** Called after the reading. `false`: it changed, or that is unknown. */
  async sawNoChange(): Promise<boolean> {
    const { io, layout } = this.#queue
    if (this.#changedMs === undefined) return false
    return (await io.calls.stat(layout.queue))?.modifiedMs === this.#changedMs
  }
}

/** Runs `work` on a queue that is there, at a time that is known. */
export async function guarded<T>(queue: FileQueue, verb: string, work: () => Promise<T>): Promise<T> {
  await requireQueue(queue.io, queue.layout)
  try {
    await queue.clock.ready()
    return await work()
  } catch (error) {
    throw queueFault(queue, verb, error)
  }
}
