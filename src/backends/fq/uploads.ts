/**
 * The journals of uploads, in the queue's own folder:
 *
 * ```text
 * <queue>/uploads/<name>/<run>/   upload.json   what is uploaded: seed, sequence, total
 *                                 counted       how many tasks are in the count of inserted ones
 *                                 finished      all was stored
 *                                 writing.… staged.… done.…   see upload-parts.ts
 * ```
 *
 * `<run>` is a new UUID each time that the upload is taken up, by a rename of the folder. So it has one owner: whatever an
 * earlier one, thought dead, still tries in the folder by its old name fails and changes nothing. (Over NFS a host may know
 * the folder by its old name for some seconds more, see `acdirmax`.)
 */
import { randomUUID } from 'node:crypto'
import type { BatchFailure, Message } from '../../backend.js'
import { requireSameUpload } from '../../upload/same-upload.js'
import type { UploadHead, UploadState, Uploads } from '../../uploads.js'
import { errorCode } from './file-system.js'
import { inside } from './layout.js'
import { isId } from './names.js'
import type { Pace } from './pace.js'
import { type FileQueue, queueFault } from './queue.js'
import { dropDone, namesIn, type PartRange, settleParts, storePart, takenOver } from './upload-parts.js'

/** Begins the names of uploads that nobody takes up; no name that a caller may give begins so. */
const NAMELESS = '~'

/** What a process that died left of a nameless upload is removed when it is older. A week: a machine may sleep. */
const STALE_SECONDS = 7 * 24 * 3600

const EVERYTHING: PartRange = { start: 0, end: Number.POSITIVE_INFINITY }

export class FileUploads implements Uploads {
  readonly #queue: FileQueue
  readonly #make: () => Promise<void>

  /** @param make makes the queue's folders */
  constructor(queue: FileQueue, make: () => Promise<void>) {
    this.#queue = queue
    this.#make = make
  }

  begin(name: string | undefined, head: UploadHead): Promise<UploadState> {
    return this.#guarded('Beginning an upload', async () => {
      await this.#make()
      await this.#queue.clock.ready()
      if (name === undefined) await this.#sweep()
      const folder = name ?? `${NAMELESS}${randomUUID()}`
      for (;;) {
        const found = await this.#find(folder)
        const begun = found === undefined ? await this.#create(folder, head) : await this.#takeUp(folder, found, head)
        // Otherwise somebody else was faster.
        if (begun !== undefined) return begun
      }
    })
  }

  async insert(
    run: string,
    start: number,
    messages: readonly Message[],
    options: { delaySeconds: number },
  ): Promise<BatchFailure[]> {
    return storePart(this.#queue, this.#path(run), start, messages, options.delaySeconds)
  }

  settle(run: string, range: PartRange): Promise<PartRange[]> {
    return this.#guarded('Continuing an upload', () => settleParts(this.#queue, this.#path(run), range))
  }

  counted(run: string, count: number): Promise<void> {
    return this.#guarded('Noting what was counted', () => this.#note(run, 'counted', String(count)))
  }

  finish(run: string): Promise<void> {
    return this.#guarded('Ending an upload', async () => {
      if (run.startsWith(NAMELESS)) {
        await removeTree(this.#queue, this.#path(run.slice(0, run.indexOf('/'))))
        return
      }
      await this.#note(run, 'finished', '')
      await dropDone(this.#queue, this.#path(run))
    })
  }

  #path(run: string): string {
    return inside(this.#queue.layout.uploads, run)
  }

  /** `undefined`: there is an upload of this name. Complete when it appears, since it appears by a rename. */
  async #create(name: string, head: UploadHead): Promise<UploadState | undefined> {
    const { pace, layout } = this.#queue
    const run = randomUUID()
    const staged = inside(layout.staging, `upload.${run}`)
    await pace.calls.makeFolder(layout.uploads)
    await pace.calls.makeFolder(staged)
    await pace.calls.makeFolder(inside(staged, run))
    await pace.write(inside(inside(staged, run), 'upload.json'), JSON.stringify(head), 'w')
    await pace.settle(inside(staged, run))
    await pace.settle(staged)
    try {
      if (!(await pace.calls.rename(staged, this.#path(name)))) throw new Error(`${layout.root} was removed`)
    } catch (error) {
      await removeTree(this.#queue, staged)
      const code = errorCode(error)
      if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'EPERM') return undefined
      throw error
    }
    await pace.settle(layout.uploads)
    return { run: `${name}/${run}`, head, stored: [], counted: 0, finished: false }
  }

  /** The folder of the run that has the upload. */
  async #find(name: string): Promise<string | undefined> {
    return (await namesIn(this.#queue, this.#path(name))).find(isId)
  }

  /** `undefined`: somebody else took it up meanwhile. */
  async #takeUp(name: string, found: string, head: UploadHead): Promise<UploadState | undefined> {
    const { pace } = this.#queue
    const path = this.#path(`${name}/${found}`)
    const text = await pace.calls.read(inside(path, 'upload.json'), 'size first')
    if (text === undefined) return undefined
    const begun = JSON.parse(text) as UploadHead
    requireSameUpload(name, path, begun, head)
    const counted = Number((await pace.calls.read(inside(path, 'counted'), 'size first')) ?? 0)
    if ((await pace.calls.stat(inside(path, 'finished'))) !== undefined) {
      return { run: `${name}/${found}`, head: begun, stored: [], counted, finished: true }
    }
    const run = `${name}/${randomUUID()}`
    if (!(await pace.calls.rename(path, this.#path(run)))) return undefined
    return {
      run,
      head: begun,
      stored: await settleParts(this.#queue, this.#path(run), EVERYTHING),
      counted,
      finished: false,
    }
  }

  /** Whole or not at all, as all that is renamed. */
  async #note(run: string, name: string, text: string): Promise<void> {
    const { pace } = this.#queue
    const path = this.#path(run)
    await pace.write(inside(path, `${name}.new`), text, 'w')
    if (!(await pace.calls.rename(inside(path, `${name}.new`), inside(path, name)))) throw takenOver(path)
    await pace.settle(path)
  }

  async #sweep(): Promise<void> {
    const { pace, layout, clock } = this.#queue
    for (const name of await namesIn(this.#queue, layout.uploads)) {
      if (!name.startsWith(NAMELESS)) continue
      const run = await this.#find(name)
      const facts = await pace.calls.stat(this.#path(run === undefined ? name : `${name}/${run}`))
      const isStale = facts !== undefined && clock.nowSeconds - facts.modifiedMs / 1000 > STALE_SECONDS
      if (isStale) await removeTree(this.#queue, this.#path(name))
    }
  }

  async #guarded<T>(verb: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw queueFault(this.#queue, verb, error)
    }
  }
}

/** Removes a folder with all that is in it; what others remove meanwhile is gone all the same. */
export async function removeTree(queue: FileQueue, path: string): Promise<void> {
  const { calls } = queue.pace
  if (!(await isFolderAfterUnlink(queue, path))) return
  const names = await namesIn(queue, path)
  // None of our folders has such a name: no need to ask for each of many files.
  const isFile = (name: string) => name.endsWith('.json')
  await queue.pace.each(names.filter(isFile), async name => {
    await calls.unlink(inside(path, name), 'there')
  })
  for (const name of names) if (!isFile(name)) await removeTree(queue, inside(path, name))
  await calls.removeFolder(path)
}

/**
 * Removes what is there unless it is a folder, and says whether it is. Not by a look first: that would follow a link, and
 * what is in the folder that it leads to would be removed.
 */
export async function isFolderAfterUnlink(
  { pace }: { readonly pace: Pick<Pace, 'calls'> },
  path: string,
): Promise<boolean> {
  try {
    await pace.calls.unlink(path, 'there')
    return false
  } catch (error) {
    // Of a folder: Linux, the others.
    if (!['EISDIR', 'EPERM'].includes(errorCode(error) ?? '')) throw error
    return true
  }
}
