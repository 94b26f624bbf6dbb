/** Folders as a whole: all names in one, and the removal of one that other processes may be writing into. */
import { randomUUID } from 'node:crypto'
import { sleep } from '../../time/sleep.js'
import { errorCode } from './file-system.js'
import type { IoScheduler } from './io-scheduler.js'
import { inside } from './layout.js'
import type { FileQueue } from './queue.js'
import { yieldIfBusy } from './yield-if-busy.js'

// A host that still caches the old name of the folder (NFS, for as long as `acdirmax`), or a call in progress, may
// still put a file into it. Pauses add up to three seconds; files that appear after that are an error, since another
// process continues to write.
const pausesMs = [0, 10, 50, 200, 700, 2_000]

/** The codes of a folder that is not empty, on Linux and elsewhere. */
const notEmptyCodes = ['ENOTEMPTY', 'EEXIST']

/** All names in a folder at once, for callers that rename or remove them; empty where there is no such folder. */
export async function allNames({ io }: { readonly io: Pick<IoScheduler, 'calls'> }, path: string): Promise<string[]> {
  const folder = await io.calls.openFolder(path)
  if (folder === undefined) return []
  const all: string[] = []
  try {
    for (let names = await folder.read(); names.length > 0; names = await folder.read()) {
      for (const name of names) all.push(name)
      const turn = yieldIfBusy(performance.now())
      if (turn !== undefined) await turn
    }
  } finally {
    await folder.close()
  }
  return all
}

/**
 * Renames `path` away and then removes it with its content. From the rename on, writers that use its path get ENOENT. A
 * process that dies during the removal leaves the rest under `staging/`, where it is swept.
 *
 * @returns false where nothing was there
 */
export async function takeAwayTree(queue: FileQueue, path: string): Promise<boolean> {
  const { io, layout } = queue
  await io.calls.makeFolder(layout.staging)
  const aside = inside(layout.staging, `removed.${randomUUID()}`)
  try {
    if (!(await io.calls.rename(path, aside))) return false
  } catch (error) {
    // Over a network a folder that another host took away may still seem to be there. Then what is missing is that one, or staging.
    if (errorCode(error) !== 'ENOENT' || !(await isWritable(queue, aside))) throw error
    return false
  }
  await removeTree(queue, aside)
  return true
}

/** Makes and removes a file, which a server answers, not a cache. */
async function isWritable({ io }: FileQueue, path: string): Promise<boolean> {
  try {
    await io.calls.write(path, '', 'wx')
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    return false
  }
  await io.calls.unlink(path, 'there')
  return true
}

/** Removes a folder with its content; files that others remove at the same time are no error. */
export async function removeTree(queue: FileQueue, path: string): Promise<void> {
  if (!(await isFolderAfterUnlink(queue, path))) return
  for (const pauseMs of pausesMs) {
    if (pauseMs > 0) await sleep(pauseMs)
    await emptyFolder(queue, path)
    try {
      return await removeFolderIfThere(queue, path)
    } catch (error) {
      if (!notEmptyCodes.includes(errorCode(error) ?? '')) throw error
    }
  }
  throw new Error(
    `${path} is not empty after ${pausesMs.length} removals of all that was in it: another process goes on writing there. ` +
      'End the inserts into this queue, on all machines, and remove it again.',
  )
}

async function emptyFolder(queue: FileQueue, path: string): Promise<void> {
  const { calls } = queue.io
  const names = await allNames(queue, path)
  // None of our folders has such a name: saves a check for each of many files.
  const isFile = (name: string) => name.endsWith('.json')
  await queue.io.each(names.filter(isFile), async name => {
    await calls.unlink(inside(path, name), 'there')
  })
  for (const name of names) {
    if (isFile(name)) continue
    await removeTree(queue, inside(path, name))
    await yieldIfBusy(performance.now())
  }
}

/** Removes an empty folder; one that is gone already is fine. */
export async function removeFolderIfThere({ io }: FileQueue, path: string): Promise<void> {
  try {
    await io.calls.removeFolder(path)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

/**
 * Removes what is there unless it is a folder, and returns whether it is. Without a check first: that would follow a
 * link, and the content of the link's target would be removed.
 */
export async function isFolderAfterUnlink(
  { io }: { readonly io: Pick<IoScheduler, 'calls'> },
  path: string,
): Promise<boolean> {
  try {
    await io.calls.unlink(path, 'there')
    return false
  } catch (error) {
    // Codes for a folder: of Linux, and of other systems.
    if (!['EISDIR', 'EPERM'].includes(errorCode(error) ?? '')) throw error
    return true
  }
}
