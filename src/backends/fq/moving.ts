/**
 * Moving tasks into another file queue, exactly: whoever dies at whatever point, each task is in one of the two queues
 * and in one only, also while workers are at work on both. On one filesystem a task moves by one rename, so no lease is
 * needed; between two filesystems see `carrying.ts`.
 */
import { randomUUID } from 'node:crypto'
import { isErrorNamed } from '../../errors/thrown.js'
import { Carrying } from './carrying.js'
import { finishRuns } from './carrying-runs.js'
import { renameExclusively } from './exclusive-rename.js'
import { errorCode } from './file-system.js'
import type { Inserting } from './inserting.js'
import { inside, requireQueue } from './layout.js'
import type { Leasing } from './leasing.js'
import { nameOf, type TaskName } from './names.js'
import { type FileQueue, queueFault } from './queue.js'
import { namesIn, parsed } from './reading.js'

// From so many on it pays to look once whether any task has a history; as for deletes.
const MANY_MOVES = 16

/**
 * Moves tasks that are free until none is left; yields how many, some at a time. Leased and delayed ones stay. A moved
 * task begins anew: its attempts are not counted on.
 */
export async function* moveTasks(
  from: FileQueue,
  leasing: Leasing,
  to: FileQueue,
  inserting: Inserting,
  signal: AbortSignal,
): AsyncGenerator<number, void, undefined> {
  await requireQueue(from.pace, from.layout)
  try {
    await inserting.make()
    await refuseSame(from, to)
    yield* counted(arrived => finishRuns(from, to, arrived))
    try {
      yield* renameTasks(from, to, signal)
    } catch (error) {
      if (errorCode(error) !== 'EXDEV') throw error
      yield* new Carrying(from, leasing, to).run(signal)
    }
  } catch (error) {
    // The wrong argument, not a fault of the folder.
    if (isErrorNamed(error, 'TypeError')) throw error
    throw queueFault(from, `Moving tasks to ${to.label}`, error)
  }
}

/** Yields how often `work` calls its argument: also where it fails in the middle, since what was moved has to be counted. */
async function* counted(work: (moved: () => void) => Promise<void>): AsyncGenerator<number, number> {
  let count = 0
  try {
    await work(() => {
      count++
    })
  } finally {
    yield count
  }
  return count
}

async function* renameTasks(from: FileQueue, to: FileQueue, signal: AbortSignal): AsyncGenerator<number> {
  // Some filesystems leave out names when a folder is changed while it is read, hence again until nothing is found.
  for (let found = true; found; ) {
    found = false
    for await (const names of namesIn(from, from.layout.queue)) {
      if (signal.aborted) return
      await from.clock.ready()
      const now = from.clock.nowSeconds
      const free = parsed(names).filter(({ available }) => available <= now)
      if ((yield* counted(moved => renameAll(from, to, free, moved))) > 0) found = true
    }
  }
}

async function renameAll(from: FileQueue, to: FileQueue, tasks: readonly TaskName[], moved: () => void): Promise<void> {
  const { pace, layout, history } = from
  const noHistory = tasks.length >= MANY_MOVES && (await history.isEmpty())
  let some = false
  await pace.each(tasks, async ({ name, id }) => {
    const arrived = inside(to.layout.queue, nameOf(0, id))
    // Otherwise a worker was faster.
    if (!(await renameExclusively(pace, to.layout.queue, id, inside(layout.queue, name), arrived))) return
    some = true
    moved()
    if (!noHistory) await history.forget(id)
  })
  if (!some) return
  await to.pace.settle(to.layout.queue)
  await pace.settle(layout.queue)
}

/** One folder may have two paths. A rename onto itself would seem to move the same tasks for ever. */
async function refuseSame(from: FileQueue, to: FileQueue): Promise<void> {
  const name = `same-${randomUUID()}`
  const probe = inside(to.layout.staging, name)
  await to.pace.write(probe, '', 'w')
  try {
    if ((await from.pace.calls.stat(inside(from.layout.staging, name))) === undefined) return
  } finally {
    await to.pace.calls.unlink(probe, 'there')
  }
  throw new TypeError(`Expected another queue to move to, got a path of the same folder: ${to.layout.root}`)
}
