/**
 * Moves tasks into another file queue, exactly: if any process dies, at any point, each task is in exactly one of the
 * two queues, also while workers use both. On one filesystem a task moves by one rename, so no lease is needed; between
 * two filesystems see `move-across-filesystems.ts`.
 */
import { randomUUID } from 'node:crypto'
import { tasksOfMessage } from '../../backend/pack-ids.js'
import { isErrorNamed } from '../../errors/thrown.js'
import { renameExclusively } from './exclusive-rename.js'
import { errorCode } from './file-system.js'
import type { Inserter } from './insert.js'
import { inside, requireQueue } from './layout.js'
import type { Leaser } from './lease.js'
import { CrossFilesystemMove } from './move-across-filesystems.js'
import { finishRuns } from './move-runs.js'
import { nameOf, type TaskName } from './names.js'
import { type FileQueue, queueFault } from './queue.js'
import { namesIn, parsed } from './reading.js'

// From this number on it pays to check once whether any task has a history; as for deletes.
const manyMoves = 16

/**
 * Moves available tasks until none is left; yields numbers of moved tasks. Leased and delayed ones stay. A moved task
 * starts over: its attempts are not kept.
 */
export async function* moveTasks(
  from: FileQueue,
  leaser: Leaser,
  to: FileQueue,
  inserter: Inserter,
  signal: AbortSignal,
): AsyncGenerator<number, void, undefined> {
  await requireQueue(from.io, from.layout)
  try {
    await inserter.make()
    await refuseSame(from, to)
    yield* yieldCount(arrived => finishRuns(from, to, arrived))
    try {
      yield* renameTasks(from, to, signal)
    } catch (error) {
      if (errorCode(error) !== 'EXDEV') throw error
      yield* new CrossFilesystemMove(from, leaser, to).run(signal)
    }
  } catch (error) {
    // The wrong argument, not a fault of the folder.
    if (isErrorNamed(error, 'TypeError')) throw error
    throw queueFault(from, `Moving tasks to ${to.label}`, error)
  }
}

/**
 * Yields the numbers of tasks in the messages that `work` moves: also if it fails halfway, since moved tasks have to be
 * counted.
 */
async function* yieldCount(work: (moved: (id: string) => void) => Promise<void>): AsyncGenerator<number, number> {
  let count = 0
  try {
    await work(id => {
      count += tasksOfMessage(id)
    })
  } finally {
    yield count
  }
  return count
}

async function* renameTasks(from: FileQueue, to: FileQueue, signal: AbortSignal): AsyncGenerator<number> {
  // Some filesystems miss names when a folder changes while it is read, hence again until nothing is found.
  for (let found = true; found; ) {
    found = false
    for await (const names of namesIn(from, from.layout.queue)) {
      if (signal.aborted) return
      await from.clock.ready()
      const now = from.clock.nowSeconds
      const free = parsed(names).filter(({ available }) => available <= now)
      if ((yield* yieldCount(moved => renameAll(from, to, free, moved))) > 0) found = true
    }
  }
}

async function renameAll(
  from: FileQueue,
  to: FileQueue,
  tasks: readonly TaskName[],
  moved: (id: string) => void,
): Promise<void> {
  const { io, layout, history } = from
  const noHistory = tasks.length >= manyMoves && (await history.isEmpty())
  let some = false
  await io.each(tasks, async ({ name, id }) => {
    const arrived = inside(to.layout.queue, nameOf(0, id))
    // Otherwise a worker was faster.
    if (!(await renameExclusively(io, to.layout.queue, id, inside(layout.queue, name), arrived))) return
    some = true
    moved(id)
    if (!noHistory) await history.forget(id)
  })
  if (!some) return
  await to.io.sync(to.layout.queue)
  await io.sync(layout.queue)
}

/** One folder may have two paths. A rename onto itself would seem to move the same tasks endlessly. */
async function refuseSame(from: FileQueue, to: FileQueue): Promise<void> {
  const name = `same-${randomUUID()}`
  const probe = inside(to.layout.staging, name)
  await to.io.write(probe, '', 'w')
  try {
    if ((await from.io.calls.stat(inside(from.layout.staging, name))) === undefined) return
  } finally {
    await to.io.calls.unlink(probe, 'there')
  }
  throw new TypeError(`Expected another queue to move to, got a path of the same folder: ${to.layout.root}`)
}
