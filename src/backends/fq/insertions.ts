/**
 * The count of inserted tasks: decimal text, changed under a lock by write and rename, so that processes count exactly and a
 * reader never sees half a number. Python adds without this lock: counts of both at the same moment can lose one.
 *
 * The lock is leased as a task is: a folder with one file, named `free` or `<end>--<holder>`, and who renames it has it. A
 * holder that died is taken over when its time is up, and that race too has one winner. (A lock file that is removed when
 * stale has two: the second breaker removes the lock of the first.)
 */
import { randomUUID } from 'node:crypto'
import { rescue } from './awaitable.js'
import { errorCode } from './file-system.js'
import { inside, writeInto } from './layout.js'
import { nameOf, parseName } from './names.js'
import { pause } from './pause.js'
import { type FileQueue, queueFault } from './queue.js'

// Held for about a millisecond. A holder that was stopped for longer than half of this starts over instead of writing.
const HELD_SECONDS = 20

// Many processes queue up for a lock that is held for a millisecond each; nobody waits longer for a live one.
const PATIENCE_SECONDS = 120

const LONGEST_PAUSE_MS = 50

const FREE = 'free.json'

/** The count; 0 without the file; `NaN` where the file holds no number. */
export async function readInsertions({ pace, layout }: FileQueue): Promise<number> {
  const read = rescue(
    () => pace.calls.read(layout.insertions, 'there'),
    error => {
      // Replaced by another host: a pooled look can wait until this host knows.
      if (errorCode(error) !== 'ESTALE') throw error
      return pace.pooled.read(layout.insertions, 'there')
    },
  )
  const text = (await read)?.trim() ?? ''
  if (text === '') return 0
  return /^\d+$/.test(text) ? Number(text) : Number.NaN
}

/** Sets the count to what `change` makes of it. */
export async function changeInsertions(queue: FileQueue, change: (count: number) => number): Promise<void> {
  const { layout, pace } = queue
  const fault = (error: unknown) => queueFault(queue, 'Counting inserted tasks', error)
  for (;;) {
    const lock = await acquire(queue).catch((error: unknown) => {
      throw fault(error)
    })
    const staged = inside(layout.staging, `insertions.${randomUUID()}`)
    try {
      const count = change(await readInsertions(queue))
      if (Number.isNaN(count)) {
        throw new Error(
          `Expected a number in ${layout.insertions}. Put one there, or set the counters to zero (rezero).`,
        )
      }
      await writeInto(pace, staged, String(count), 'w')
      if (performance.now() - lock.sinceMs < (HELD_SECONDS * 1000) / 2) {
        if (!(await pace.calls.rename(staged, layout.insertions))) throw new Error(`${staged} was removed`)
        await pace.settle(layout.root)
        return
      }
    } catch (error) {
      throw fault(error)
    } finally {
      await pace.calls.unlink(staged, 'absent')
      // `false`, taken over by another, is nothing to us: the work is done, or is begun anew.
      await pace.calls.rename(inside(layout.insertionsLock, lock.name), inside(layout.insertionsLock, FREE))
    }
  }
}

async function acquire(queue: FileQueue): Promise<{ name: string; sinceMs: number }> {
  const { layout, pace, clock } = queue
  const holder = randomUUID()
  const deadlineMs = performance.now() + PATIENCE_SECONDS * 1000
  for (let pauseMs = 1; performance.now() < deadlineMs; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    await clock.ready()
    const sinceMs = performance.now()
    const name = nameOf(Math.ceil(clock.nowSeconds + HELD_SECONDS), holder)
    const take = (from: string) =>
      pace.calls.rename(inside(layout.insertionsLock, from), inside(layout.insertionsLock, name))
    if (await take(FREE)) return { name, sinceMs }
    const found = await namesInLock(queue)
    if (found.length === 0) await makeLock(queue)
    const stale = found.map(parseName).find(other => other !== undefined && other.available <= clock.nowSeconds)
    if (stale !== undefined && (await take(stale.name))) return { name, sinceMs }
    await pause(pauseMs * Math.random(), [])
  }
  throw new Error(`The lock ${layout.insertionsLock} was held by others for ${PATIENCE_SECONDS} s`)
}

async function namesInLock({ pace, layout }: FileQueue): Promise<readonly string[]> {
  const folder = await pace.calls.openFolder(layout.insertionsLock)
  if (folder === undefined) return []
  try {
    return await folder.read()
  } finally {
    await folder.close()
  }
}

// Folder and file come into being in one rename, which fails where the folder is there with a file in it: no two locks.
async function makeLock(queue: FileQueue): Promise<void> {
  const { pace, layout } = queue
  const staged = inside(layout.staging, `lock.${randomUUID()}`)
  await pace.calls.makeFolder(layout.staging)
  await pace.calls.makeFolder(staged)
  await pace.calls.write(inside(staged, FREE), '', 'w')
  try {
    await pace.calls.rename(staged, layout.insertionsLock)
  } catch (error) {
    await pace.calls.unlink(inside(staged, FREE), 'there')
    await pace.calls.removeFolder(staged)
    // Somebody else was faster: ENOTEMPTY or EEXIST, and other codes on other systems.
    if ((await namesInLock(queue)).length === 0) throw error
  }
}
