/** The paths of a queue's parts, and the making and checking of its folders. */
import { basename, dirname, join } from 'node:path'
import { nameAndMessageOf } from '../../errors/thrown.js'
import { errorCode, type FileCalls, type FileFacts, type FileSystem, isMissing } from './file-system.js'
import type { IoScheduler } from './io-scheduler.js'

/** The folder of the dead-letter queue. */
export const deadLettersFolder = 'failed'

/** The paths of a queue's parts; `queue`, `movement`, `completions` and `insertions` are shared with Python. */
export interface Layout {
  /** The queue's own folder. */
  readonly root: string
  /** One file a task. */
  readonly queue: string
  /** One file a task with a history: the names that it had. */
  readonly movement: string
  /** Files that are being written. */
  readonly staging: string
  /** One file a task that failed: its failures. */
  readonly failures: string
  /** Files that are no tasks, with their reasons. */
  readonly quarantine: string
  /** Tasks on their way to a queue on another filesystem, a folder a run. */
  readonly moved: string
  /** Tasks on their way from a queue on another filesystem, a folder a run. */
  readonly arriving: string
  /** One file a worker: what it does. */
  readonly workers: string
  /** Two files a worker that runs commands: what they write. */
  readonly logs: string
  /** One folder a run whose outcomes are kept. */
  readonly results: string
  /** One folder an upload that may be taken up again: its journal. */
  readonly uploads: string
  /** Names that a worker has read, for the others. */
  readonly listing: string
  /** One zero byte a completion. */
  readonly completions: string
  /** The number of inserted tasks, decimal text. */
  readonly insertions: string
  /** The lock on `insertions`: a folder with one file. */
  readonly insertionsLock: string
}

/**
 * The path of `name` in a folder of the queue. A plain joining: `path.join` parses and rebuilds a path, which is a
 * tenth of the time that a task takes.
 */
export function inside(folder: string, name: string): string {
  return `${folder}/${name}`
}

export function layoutOf(root: string): Layout {
  return {
    root,
    queue: join(root, 'queue'),
    movement: join(root, 'movement'),
    staging: join(root, 'staging'),
    failures: join(root, 'failures'),
    quarantine: join(root, 'quarantine'),
    moved: join(root, 'moved'),
    arriving: join(root, 'arriving'),
    workers: join(root, 'workers'),
    logs: join(root, 'logs'),
    results: join(root, 'results'),
    uploads: join(root, 'uploads'),
    listing: join(root, 'listing'),
    completions: join(root, 'completions'),
    insertions: join(root, 'insertions'),
    insertionsLock: join(root, 'insertions.lock'),
  }
}

async function factsOf(io: IoScheduler, path: string): Promise<FileFacts | undefined> {
  try {
    // Not the blocking call: from Node 22 on it no longer distinguishes a path below a file from a missing path.
    return await io.pooled.stat(path)
  } catch (error) {
    throw new Error(
      `Expected the folder of a queue at ${path}, but it can't be looked at: ${nameAndMessageOf(error)}`,
      {
        cause: error,
      },
    )
  }
}

/**
 * Refuses a path that can't be a queue: a file, or one that this user may not read. A missing path passes: the first
 * insert creates the queue.
 */
export async function refuseFile(io: IoScheduler, root: string): Promise<void> {
  const found = await factsOf(io, root)
  if (found !== undefined && !found.isFolder) {
    throw new Error(
      `Expected the folder of a queue at ${root}, found a file. Name another path, or move the file away.`,
    )
  }
}

/** The first names in a folder; none if the folder doesn't exist. */
async function firstNames(io: IoScheduler, path: string): Promise<readonly string[]> {
  const folder = await io.pooled.openFolder(path)
  try {
    return (await folder?.read()) ?? []
  } finally {
    await folder?.close()
  }
}

/** True where a folder has one of the parts that a queue has beside `queue`: `movement`, unless it was removed. */
async function hasOtherParts(io: IoScheduler, layout: Layout): Promise<boolean> {
  const { root: _root, queue: _queue, ...others } = layout
  for (const path of [...Object.values(others), join(layout.root, deadLettersFolder)]) {
    if ((await factsOf(io, path)) !== undefined) return true
  }
  return false
}

/**
 * Refuses a folder that is no queue but contains something called `queue`: e.g. the folder of a project in which a
 * queue is `./queue`. A folder with nothing but tasks in `queue` passes: it was created by hand.
 */
export async function refuseContainer(io: IoScheduler, layout: Layout): Promise<void> {
  const { root, queue } = layout
  if (!(await isQueue(io, layout)) || (await hasOtherParts(io, layout))) return
  const inner = layoutOf(queue)
  const isInner = (await isQueue(io, inner)) && (await hasOtherParts(io, inner))
  if (!isInner && (await firstNames(io, root)).length === 1) return
  // Another process may have made the queue since: `queue` comes first.
  if (await hasOtherParts(io, layout)) return
  const meant = isInner ? `Name the queue in it: ${queue}` : `If that is meant to be a queue, name it: ${queue}`
  throw new Error(`Expected a queue at ${root}, found a folder that has only \`queue\` of all parts of one. ${meant}`)
}

/**
 * The folder named by the user, below which nothing may be a link: for a dead-letter queue that of the queue around it,
 * since another user of that queue may have created the inner folder.
 */
export async function trustedRoot({ pooled }: FileSystem, root: string): Promise<string> {
  const around = dirname(root)
  if (basename(root) !== deadLettersFolder) return root
  try {
    return (await pooled.stat(layoutOf(around).queue))?.isFolder === true ? around : root
  } catch {
    // It can't be read: not a queue around another one.
    return root
  }
}

/** True if there is a queue: a folder `queue` in its own folder. */
export async function isQueue(io: IoScheduler, layout: Layout): Promise<boolean> {
  return (await factsOf(io, layout.queue))?.isFolder === true
}

/** Refuses a path that is no queue, for the verbs that only make sense on one. Makes nothing. */
export async function requireQueue(io: IoScheduler, layout: Layout): Promise<void> {
  if (await isQueue(io, layout)) return
  const root = await factsOf(io, layout.root)
  const found = root === undefined ? 'found nothing there' : 'found a folder without a `queue` folder in it'
  throw new Error(`Expected a queue at ${layout.root}, ${found}. Check the path; the first insert makes a queue.`)
}

/** With `durable`, on the disk too: a new folder is there once the one that it is in is synced. */
async function makeWithParents(io: IoScheduler, path: string): Promise<void> {
  try {
    await io.calls.makeFolder(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' || dirname(path) === path) throw error
    await makeWithParents(io, dirname(path))
    await io.calls.makeFolder(path)
  }
  try {
    await io.sync(dirname(path))
  } catch (error) {
    // A folder that this user may not open: its owner made what is in it.
    if (errorCode(error) !== 'EACCES') throw error
  }
}

/** Makes what an insert and a Python worker need. Modes come from the umask, so that a group can share a queue. */
export async function makeQueue(io: IoScheduler, layout: Layout): Promise<void> {
  await makeWithParents(io, layout.root)
  for (const folder of [layout.queue, layout.movement, layout.staging]) await io.calls.makeFolder(folder)
}

/**
 * Writes a file into a folder of the queue that may not exist yet. That folder is created, the queue's own folder
 * isn't: after a queue was removed (`rm -r`), no parts of it may reappear.
 */
export async function writeInto(io: IoScheduler, path: string, text: string, flag: 'w' | 'a'): Promise<void> {
  try {
    await io.write(path, text, flag)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    await io.calls.makeFolder(dirname(path))
    await io.write(path, text, flag)
  }
}

/** Renames a file into a folder of the queue that may not exist yet, like `writeInto`. `false`: there is no `from`. */
export async function renameInto(calls: FileCalls, from: string, to: string): Promise<boolean> {
  try {
    return await calls.rename(from, to)
  } catch (error) {
    if (!isMissing(error)) throw error
    await calls.makeFolder(dirname(to))
    return await calls.rename(from, to)
  }
}
