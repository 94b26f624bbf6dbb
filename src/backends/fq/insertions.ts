/**
 * The count of inserted tasks: decimal text, changed under a lock by write and rename, so that processes count exactly and a
 * reader never sees half a number of ours. Python adds without this lock: counts of both at the same moment can lose one.
 *
 * The lock is leased like a task: a folder with one file, named `free` or `<end>--<holder>`, and the process that
 * renames it has it. The lock of a dead holder is taken over when its time is up, and that race has one winner too. (A
 * lock file that is removed when stale has two: the second breaker removes the lock of the first.)
 *
 * A holder may also be late and not dead: stopped, or disconnected from the server, just before it renames its new
 * count into place. That file is named after the holder, and a successor removes it before it takes the lock over and
 * reads the count. So the late rename fails, and the holder starts over. It can't write that file again by then: it
 * only renames what was written in the first half of its time.
 */
import { randomUUID } from 'node:crypto'
import { elapsedMs } from '../../time/clock.js'
import { sleep } from '../../time/sleep.js'
import { rescue } from './awaitable.js'
import { errorCode, errorMessage } from './file-system.js'
import { inside, type Layout, writeInto } from './layout.js'
import { nameOf, parseName } from './names.js'
import { type FileQueue, queueFault } from './queue.js'

// Held for about a millisecond. A holder that was stopped for longer than half of this starts over instead of writing.
const heldSeconds = 20

// Many processes queue up for a lock that is held for a millisecond each: with live holders no wait is longer.
const lockTimeoutSeconds = 120

const maxPauseMs = 50

// Each time the process, or the filesystem, was blocked for ten seconds between two calls.
const maxTries = 5

// Python empties the file and then writes it: microseconds on a local disk, a round trip over a network. About a second.
const emptyPausesMs = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]

const freeName = 'free.json'

/** The lock while this process has it. */
interface Lock {
  readonly name: string
  readonly holder: string
  /** By `elapsedMs`: the lock also expires while the machine sleeps. */
  readonly sinceMs: number
}

/** The count; 0 without the file; `NaN` where the file holds no number, also where it stays empty. */
export async function readInsertions(queue: FileQueue): Promise<number> {
  const text = await readWritten(queue)
  if (text === undefined) return 0
  return /^\d+$/.test(text) ? Number(text) : Number.NaN
}

/** The text of the file, once it is not empty; empty where it stays so; `undefined`: there is no file. */
async function readWritten(queue: FileQueue): Promise<string | undefined> {
  for (const pauseMs of emptyPausesMs) {
    const text = await readText(queue)
    if (text !== '') return text
    await sleep(pauseMs)
  }
  return readText(queue)
}

async function readText({ io, layout }: FileQueue): Promise<string | undefined> {
  const text = await rescue(
    () => io.calls.read(layout.insertions, 'size first'),
    error => {
      // Replaced by another host: a pooled call can wait until this host sees the new file.
      if (errorCode(error) !== 'ESTALE') throw error
      return io.pooled.read(layout.insertions, 'size first')
    },
  )
  return text?.trim()
}

/** Sets the count to what `change` makes of it. */
export async function changeInsertions(queue: FileQueue, change: (count: number) => number): Promise<void> {
  try {
    for (let tries = 1; tries <= maxTries; tries++) if (await tryToChange(queue, change)) return
    throw new Error(
      `This process stood still for ${heldSeconds / 2} s in each of ${maxTries} tries to change ${queue.layout.insertions}: it ` +
        'was stopped, or the filesystem did not answer',
    )
  } catch (error) {
    throw queueFault(queue, 'Counting inserted tasks', error)
  }
}

/** `false`: the lock was lost, or nearly; nothing was changed. */
async function tryToChange(queue: FileQueue, change: (count: number) => number): Promise<boolean> {
  const { layout, io } = queue
  const lock = await acquire(queue)
  const staged = stagedBy(layout, lock.holder)
  let changed = false
  try {
    const count = change(await countUnderLock(queue))
    if (Number.isNaN(count)) {
      throw new Error(`Expected a number in ${layout.insertions}. Put one there, or set the counters to zero (rezero).`)
    }
    await writeInto(io, staged, String(count), 'w')
    const isInTime = elapsedMs() - lock.sinceMs < (heldSeconds * 1000) / 2
    changed = isInTime && (await io.calls.rename(staged, layout.insertions))
  } finally {
    if (!changed) await abandonChange(queue, lock)
  }
  if (changed) await afterChange(queue, lock)
  return changed
}

/** The lock is free afterwards even if the new count can't be removed. */
async function abandonChange(queue: FileQueue, lock: Lock): Promise<void> {
  try {
    await queue.io.calls.unlink(stagedBy(queue.layout, lock.holder), 'absent')
  } finally {
    await releaseLock(queue, lock)
  }
}

/** `false`: another process has taken it over. */
async function releaseLock({ layout, io }: FileQueue, { name }: Lock): Promise<boolean> {
  return await io.calls.rename(inside(layout.insertionsLock, name), inside(layout.insertionsLock, freeName))
}

/** Never throws: the count is changed by now, and after an error it would be changed a second time. A lock that stays runs out. */
async function afterChange(queue: FileQueue, lock: Lock): Promise<void> {
  const { label, layout, io } = queue
  const steps: (() => Promise<unknown>)[] = [() => io.sync(layout.root), () => releaseLock(queue, lock)]
  for (const step of steps) {
    await rescue(step, error => {
      process.emitWarning(
        `The count of inserted tasks of ${label} is changed, but the step after that failed: ${errorMessage(error)}. A power cut ` +
          `may undo the change, or the next count may have to wait up to ${heldSeconds} s.`,
        { type: 'PtqWarning', code: 'PTQ_COUNT_NOT_SETTLED' },
      )
    })
  }
}

/**
 * The count, `NaN` if it is not a number. A file that stays empty was left by a Python process that died between
 * emptying and writing it: its number is lost, and counting continues from 0. A count may be behind, never ahead.
 */
async function countUnderLock(queue: FileQueue): Promise<number> {
  const { label, layout } = queue
  const count = await readInsertions(queue)
  if (!Number.isNaN(count) || (await readText(queue)) !== '') return count
  process.emitWarning(
    `The count of inserted tasks of ${label} is lost: ${layout.insertions} is empty, left so by a process that died while it ` +
      'wrote. Counting goes on from 0.',
    { type: 'PtqWarning', code: 'PTQ_COUNT_LOST' },
  )
  return 0
}

function stagedBy(layout: Layout, holder: string): string {
  return inside(layout.staging, `insertions.${holder}`)
}

async function acquire(queue: FileQueue): Promise<Lock> {
  const { layout, io, clock } = queue
  const holder = randomUUID()
  const deadlineMs = performance.now() + lockTimeoutSeconds * 1000
  for (let pauseMs = 1; performance.now() < deadlineMs; pauseMs = Math.min(pauseMs * 2, maxPauseMs)) {
    await clock.ready()
    const sinceMs = elapsedMs()
    const name = nameOf(Math.ceil(clock.nowSeconds + heldSeconds), holder)
    const lock = { name, holder, sinceMs }
    const take = (from: string) =>
      io.calls.rename(inside(layout.insertionsLock, from), inside(layout.insertionsLock, name))
    if (await take(freeName)) return lock
    const found = await namesInLock(queue)
    if (found.length === 0) await makeLock(queue)
    const stale = found.map(parseName).find(other => other !== undefined && other.available <= clock.nowSeconds)
    if (stale !== undefined) {
      // First, so that it is gone for any process that takes the lock over, even if that one dies soon.
      await io.calls.unlink(stagedBy(layout, stale.id), 'there')
      if (await take(stale.name)) return lock
    }
    await sleep(pauseMs * Math.random())
  }
  throw new Error(`The lock ${layout.insertionsLock} was held by others for ${lockTimeoutSeconds} s`)
}

async function namesInLock({ io, layout }: FileQueue): Promise<readonly string[]> {
  const folder = await io.calls.openFolder(layout.insertionsLock)
  if (folder === undefined) return []
  try {
    return await folder.read()
  } finally {
    await folder.close()
  }
}

// Folder and file come into being in one rename, which fails where the folder is there with a file in it: no two locks.
async function makeLock(queue: FileQueue): Promise<void> {
  const { io, layout } = queue
  const staged = inside(layout.staging, `lock.${randomUUID()}`)
  await io.calls.makeFolder(layout.staging)
  await io.calls.makeFolder(staged)
  try {
    await io.calls.write(inside(staged, freeName), '', 'w')
    await io.calls.rename(staged, layout.insertionsLock)
  } catch (error) {
    await io.calls.unlink(inside(staged, freeName), 'absent')
    await io.calls.removeFolder(staged)
    // Another process was faster: ENOTEMPTY or EEXIST, and other codes on other systems.
    if ((await namesInLock(queue)).length === 0) throw error
  }
}
