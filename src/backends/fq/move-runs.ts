/**
 * The folders of moves between two filesystems, see `move-across-filesystems.ts`, and finishing what dead ones left in them:
 *
 * ```text
 * <from>/moved/<run>/         to           the path of the other queue
 *                             <id>.json    a task that has changed queues, and may not have arrived
 * <from>/moved/<run>.closed/               the same, after another process has ended the run
 * <to>/arriving/<run>/        <id>.json    a task whose text has arrived, and that may not have changed queues
 * ```
 *
 * `moved/` alone decides: only a process that finds a task's file there lists the one that has arrived, and nothing
 * under `arriving/` is removed while a task could still change queues by this run. So the destination removes nothing
 * by itself, and a process that cleans up after a run closes it first: a late holder then finds no folder to commit
 * into.
 */
import { renameExclusively } from './exclusive-rename.js'
import { errorCode, type FileCalls } from './file-system.js'
import { allNames, isFolderAfterUnlink } from './folders.js'
import { inside, type Layout, layoutOf } from './layout.js'
import { isId, nameOf } from './names.js'
import type { FileQueue } from './queue.js'

// A run without a change for this long is taken for dead. If it isn't, it fails at its next step, and loses nothing:
// the age only keeps several moves at a time from closing each other's.
const silentSeconds = 6 * 3600

export const destinationFolder = 'to'
const closedSuffix = '.closed'
const suffix = '.json'

/** The folders of one run. */
export interface Run {
  readonly moved: string
  readonly arriving: string
}

/** The calls with which a queue's files are renamed. */
type Renaming = Parameters<typeof renameExclusively>[0]

export function runOf(from: Layout, to: Layout, run: string): Run {
  return { moved: inside(from.moved, run), arriving: inside(to.arriving, run) }
}

export function fileOf(id: string): string {
  return `${id}${suffix}`
}

/**
 * Lists a task that has changed queues and arrived. `false`: another process has listed it.
 *
 * @throws Error if it is unknown whether it was listed: then the file under `moved/` has to stay
 */
export async function arrive(from: FileQueue, renaming: Renaming, to: Layout, run: Run, id: string): Promise<boolean> {
  const { calls } = renaming
  const arrived = inside(run.arriving, fileOf(id))
  if (await renameExclusively(renaming, to.queue, id, arrived, inside(to.queue, nameOf(0, id)))) return true
  // Only a process that has listed it takes a file out of the folder of a run, and the folder stays as long as a file is under
  // `moved/`.
  if ((await calls.stat(arrived)) !== undefined) throw new Error(`${arrived} could not be renamed`)
  if ((await calls.stat(run.arriving)) !== undefined) return false
  if ((await from.io.calls.stat(inside(run.moved, fileOf(id)))) === undefined) return false
  throw outOfReach(run, to.root, 1)
}

function outOfReach(run: Run, to: string, tasks: number): Error {
  return new Error(
    `${tasks === 1 ? 'A task is on its' : `${tasks} tasks are on their`} way to ${to}, and ${run.arriving} can't be found. Make it reachable and move again. Where ` +
      `${to} was removed for good, remove ${inside(run.moved, destinationFolder)}: the next move puts the tasks back into the queue ` +
      'they came from.',
  )
}

/** Finishes unfinished moves of other processes, to any queue; calls `arrived` for each task that arrives by that. */
export async function finishRuns(from: FileQueue, to: FileQueue, arrived: (id: string) => void): Promise<void> {
  for (const name of await allNames(from, from.layout.moved)) {
    if (isId(idOf(name))) await finishRun(from, to, name, arrived)
  }
}

/** The run of a folder under `moved/`. */
function idOf(name: string): string {
  return name.endsWith(closedSuffix) ? name.slice(0, -closedSuffix.length) : name
}

async function finishRun(from: FileQueue, to: FileQueue, name: string, arrived: (id: string) => void): Promise<void> {
  const { calls } = from.io
  const moved = inside(from.layout.moved, name)
  const isSilent = await wasSilent(from, moved)
  const path = await calls.read(inside(moved, destinationFolder), 'size first')
  if (path === undefined || path === '') {
    // Just created, or nearly finished; or the user has decided that the tasks return, see `outOfReach`.
    await putBack(from, moved)
    if (isSilent) await removeFolder(calls, moved)
    return
  }
  // A queue that has another path by now is found when it is the one to move to.
  const isHere =
    path === to.layout.root || (await to.io.pooled.stat(inside(to.layout.arriving, idOf(name)))) !== undefined
  const layout = isHere ? to.layout : layoutOf(path)
  const renaming = isHere ? to.io : { calls: to.io.pooled, knowsNames: false }
  const run = { moved, arriving: inside(layout.arriving, idOf(name)) }
  await finishTasks(from, to, renaming, layout, run, arrived)
  if (!isSilent && !name.endsWith(closedSuffix)) return
  const closed = { ...run, moved: inside(from.layout.moved, idOf(name) + closedSuffix) }
  // `false`: it has ended, or another process has closed it and does the rest.
  if (moved !== closed.moved && !(await calls.rename(moved, closed.moved))) return
  await finishTasks(from, to, renaming, layout, closed, arrived)
  await removeRun(from, renaming.calls, closed)
}

async function finishTasks(
  from: FileQueue,
  to: FileQueue,
  renaming: Renaming,
  layout: Layout,
  run: Run,
  arrived: (id: string) => void,
): Promise<void> {
  const { io, history } = from
  const tasks = await tasksIn(io.calls, run.moved)
  if (tasks.length > 0 && (await renaming.calls.stat(run.arriving)) === undefined) {
    throw outOfReach(run, layout.root, tasks.length)
  }
  await io.each(tasks, async id => {
    if (await arrive(from, renaming, layout, run, id)) arrived(id)
  })
  // Only what is on the disk there, also if another process listed it, may be removed here.
  if (tasks.length > 0) await to.io.sync(layout.queue)
  await io.each(tasks, async id => {
    await history.forget(id)
    await io.calls.unlink(inside(run.moved, fileOf(id)), 'there')
  })
}

/** Puts the tasks of a run without a destination back into the queue that they came from. */
async function putBack({ io, layout }: FileQueue, moved: string): Promise<void> {
  await io.each(await tasksIn(io.calls, moved), async id => {
    await io.calls.rename(inside(moved, fileOf(id)), inside(layout.queue, nameOf(0, id)))
  })
}

/** Removes the folders of a run into which nothing is committed any more, unless tasks are still in them. */
async function removeRun(from: FileQueue, there: FileCalls, { moved, arriving }: Run): Promise<void> {
  const { calls } = from.io
  // Without the folder nothing is known: the queue was moved away, with the tasks that need what has arrived.
  if ((await calls.stat(moved)) === undefined || (await countTasks(from, moved)) > 0) return
  // First the one that only the other run names.
  if (await removeFolder(there, arriving)) await removeFolder(calls, moved)
}

/** Ends a run that commits nothing more: tasks that are still in it are finished by the next move. */
export async function endRun(from: FileQueue, there: FileCalls, run: Run): Promise<void> {
  if ((await countTasks(from, run.moved)) > 0) await from.io.calls.rename(run.moved, run.moved + closedSuffix)
  else await removeRun(from, there, run)
}

/** The number of tasks of a run that have changed queues and are not known to have arrived. */
export async function countTasks({ io }: FileQueue, moved: string): Promise<number> {
  return (await tasksIn(io.calls, moved)).length
}

/** The ids of the tasks in a folder of a run. */
async function tasksIn(calls: FileCalls, folder: string): Promise<string[]> {
  const names = await allNames({ io: { calls } }, folder)
  return names
    .filter(name => name.endsWith(suffix))
    .map(name => name.slice(0, -suffix.length))
    .filter(isId)
}

async function wasSilent({ io, clock }: FileQueue, path: string): Promise<boolean> {
  await clock.ready()
  const facts = await io.calls.stat(path)
  return facts !== undefined && clock.nowSeconds - facts.modifiedMs / 1000 > silentSeconds
}

/** `false`: something is in it still, for the next who clears up: a late write, or what NFS keeps for a reader. */
async function removeFolder(calls: FileCalls, path: string): Promise<boolean> {
  if (!(await isFolderAfterUnlink({ io: { calls } }, path))) return true
  for (const name of await allNames({ io: { calls } }, path)) await calls.unlink(inside(path, name), 'there')
  try {
    await calls.removeFolder(path)
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false
    if (code !== 'ENOENT') throw error
  }
  return true
}
