/**
 * The journals of uploads, in the queue's own folder:
 *
 * ```text
 * <queue>/uploads/<name>/<run>/   upload.json   what is uploaded: seed, sequence, total; and its marker, see upload-marker.ts
 *                                 counted       how many tasks are in the count of inserted ones
 *                                 finished      all was stored
 *                                 writing.… staged.… done.… free.…   see upload-parts.ts
 * ```
 *
 * `<run>` is a new UUID each time that the upload is taken over, by a rename of the folder. So it has one owner: an
 * earlier one that was thought dead uses the old name, so its calls fail and change nothing. (Over NFS a host may cache
 * the folder's old name for some seconds more, see `acdirmax`.)
 */
import { randomUUID } from 'node:crypto'
import type { BatchFailure, Message } from '../../backend/messages.js'
import { requireSameUpload } from '../../backend/same-upload.js'
import type { UploadHead, UploadState, Uploads } from '../../backend/uploads.js'
import { UploadGoneError } from '../../errors/errors.js'
import { isErrorNamed } from '../../errors/thrown.js'
import { sleep } from '../../time/sleep.js'
import { errorCode } from './file-system.js'
import { allNames, removeTree, takeAwayTree } from './folders.js'
import { inside } from './layout.js'
import { isId } from './names.js'
import { type FileQueue, queueFault } from './queue.js'
import { isMarkerThere, makeMarker } from './upload-marker.js'
import { dropDone, finishParts, type PartRange, storePart, takenOver } from './upload-parts.js'
import { yieldIfBusy } from './yield-if-busy.js'

/** Prefix of uploads that are never continued; no name that a caller may give begins so. */
const unnamedPrefix = '~'

/** Age at which the remains of an unnamed upload of a dead process are removed. A week: a machine may sleep. */
const staleSeconds = 7 * 24 * 3600

// Each try is lost to a process that was faster, so a second is plenty; over NFS a host may list a folder for a minute as it was
// (`acdirmax`).
const takeoverTimeoutMs = 90_000
const maxPauseMs = 1_000

// Consecutive readings that found something else than the folder of a run. One may fall between the two names of a
// rename.
const maxForeignLooks = 8

const everything: PartRange = { start: 0, end: Number.POSITIVE_INFINITY }

const headName = 'upload.json'

/** The content of `upload.json`. */
interface StoredHead extends UploadHead {
  /** `undefined`: the upload is never continued, or an earlier version of this program began it. */
  readonly marker?: string
}

export class FileUploads implements Uploads {
  readonly #queue: FileQueue
  readonly #make: () => Promise<void>
  /** Empty folders of the run that was inserted into last, see `storePart`. */
  #free: { run: string; folders: string[] } = { run: '', folders: [] }

  /** @param make makes the queue's folders */
  constructor(queue: FileQueue, make: () => Promise<void>) {
    this.#queue = queue
    this.#make = make
  }

  begin(name: string | undefined, head: UploadHead, signal?: AbortSignal): Promise<UploadState> {
    return this.#guarded('Beginning an upload', async () => {
      await this.#make()
      await this.#queue.clock.ready()
      if (name === undefined) await this.#sweep()
      const folder = name ?? `${unnamedPrefix}${randomUUID()}`
      const deadlineMs = performance.now() + takeoverTimeoutMs
      let foreignLooks = 0
      for (let pauseMs = 1; ; pauseMs = Math.min(2 * pauseMs, maxPauseMs)) {
        signal?.throwIfAborted()
        const names = await allNames(this.#queue, this.#path(folder))
        const found = names.find(isId)
        const begun = found === undefined ? await this.#create(folder, head) : await this.#takeUp(folder, found, head)
        // Otherwise another process was faster.
        if (begun !== undefined) return begun
        foreignLooks = found === undefined && names.length > 0 ? foreignLooks + 1 : 0
        if (foreignLooks === maxForeignLooks) throw foreignNames(this.#path(folder), names)
        if (performance.now() > deadlineMs) throw contended(this.#path(folder))
        await sleep(pauseMs * Math.random(), signal)
      }
    })
  }

  async insert(
    run: string,
    start: number,
    messages: readonly Message[],
    options: { delaySeconds: number },
  ): Promise<BatchFailure[]> {
    if (this.#free.run !== run) this.#free = { run, folders: [] }
    return storePart(this.#queue, this.#path(run), this.#free.folders, start, messages, options.delaySeconds)
  }

  settle(run: string, range: PartRange): Promise<PartRange[]> {
    return this.#guarded('Continuing an upload', () => finishParts(this.#queue, this.#path(run), range))
  }

  counted(run: string, count: number): Promise<void> {
    return this.#guarded('Noting what was counted', () => this.#note(run, 'counted', String(count)))
  }

  finish(run: string): Promise<void> {
    return this.#guarded('Ending an upload', async () => {
      if (run.startsWith(unnamedPrefix)) {
        const path = this.#path(run.slice(0, run.indexOf('/')))
        if (!(await takeAwayTree(this.#queue, path))) throw takenOver(path)
        return
      }
      await this.#note(run, 'finished', '')
      await dropDone(this.#queue, this.#path(run))
    })
  }

  #path(run: string): string {
    return inside(this.#queue.layout.uploads, run)
  }

  /** `undefined`: there is an upload of this name, or a purge removes all of them. Complete when it appears, since it appears by a rename. */
  async #create(name: string, head: UploadHead): Promise<UploadState | undefined> {
    const { io, layout } = this.#queue
    const run = randomUUID()
    const staged = inside(layout.staging, `upload.${run}`)
    await io.calls.makeFolder(layout.uploads)
    await io.sync(layout.root)
    await io.calls.makeFolder(staged)
    await io.calls.makeFolder(inside(staged, run))
    const marker = name.startsWith(unnamedPrefix) ? undefined : await makeMarker(this.#queue.io, this.#queue.layout)
    await io.write(inside(inside(staged, run), headName), headText(head, marker), 'w')
    await io.sync(inside(staged, run))
    await io.sync(staged)
    try {
      // `false`: on a network filesystem it can go into a folder that another host's purge has just moved, and is gone with that. Where
      // the queue itself was removed, the next try fails to make its folder.
      if (!(await io.calls.rename(staged, this.#path(name)))) return undefined
    } catch (error) {
      await removeTree(this.#queue, staged)
      const code = errorCode(error)
      // ENOENT: a purge has taken the folder of all uploads away since it was made.
      if (['ENOTEMPTY', 'EEXIST', 'EPERM', 'ENOENT'].includes(code ?? '')) return undefined
      throw error
    }
    await io.sync(layout.uploads)
    return { run: `${name}/${run}`, head, stored: [], counted: 0, finished: false }
  }

  /**
   * Takes the folder over by its rename. What is read before that only decides whether to take it: the previous owner
   * may change all of it until then, so the decisive content is read from the renamed folder.
   *
   * @returns `undefined`: another process took it over at the same time, or the old content has been removed now
   */
  async #takeUp(name: string, found: string, head: UploadHead): Promise<UploadState | undefined> {
    const { io } = this.#queue
    const path = this.#path(`${name}/${found}`)
    const before = await this.#head(path)
    if (before === undefined) {
      // Its head is there from the first moment, so this is the rest of an interrupted removal.
      await takeAwayTree(this.#queue, path)
      return undefined
    }
    if (!(await this.#isPurged(before))) {
      requireSameUpload(name, path, before, head)
      if (await this.#isFinished(path)) {
        return { run: `${name}/${found}`, head: headOf(before), stored: [], counted: 0, finished: true }
      }
    }
    const run = `${name}/${randomUUID()}`
    const owned = this.#path(run)
    if (!(await io.calls.rename(path, owned))) return undefined
    await io.sync(this.#path(name))
    const begun = await this.#head(owned)
    if (begun === undefined) return undefined
    if (await this.#isPurged(begun)) return this.#beginAgain(run, begun, head)
    requireSameUpload(name, owned, begun, head)
    const finished = await this.#isFinished(owned)
    const counted = Number((await io.calls.read(inside(owned, 'counted'), 'size first')) ?? 0)
    if (finished) await dropDone(this.#queue, owned)
    const stored = finished ? [] : await finishParts(this.#queue, owned, everything)
    return { run, head: headOf(begun), stored, counted, finished }
  }

  /** True where Python purged the queue since the upload was begun. */
  async #isPurged({ marker }: StoredHead): Promise<boolean> {
    return marker !== undefined && !(await isMarkerThere(this.#queue.io, this.#queue.layout, marker))
  }

  /**
   * Restarts an upload whose tasks Python's purge has removed. The same upload keeps its seed: a task that was inserted
   * during the purge, and is still there, is replaced and not duplicated. The head is written last, so a process that
   * dies before has changed nothing.
   *
   * @param run is ours
   * @returns `undefined`: another process took it over at the same time
   */
  async #beginAgain(run: string, begun: StoredHead, head: UploadHead): Promise<UploadState | undefined> {
    const owned = this.#path(run)
    for (const name of await allNames(this.#queue, owned)) {
      if (name !== headName) await removeTree(this.#queue, inside(owned, name))
      await yieldIfBusy(performance.now())
    }
    const isSame = begun.sequence === head.sequence && begun.total === head.total
    const again = isSame ? { ...head, seed: begun.seed } : head
    const marker = await makeMarker(this.#queue.io, this.#queue.layout)
    if (await this.#replace(owned, headName, headText(again, marker))) {
      return { run, head: again, stored: [], counted: 0, finished: false }
    }
    await this.#queue.io.calls.unlink(inside(this.#queue.layout.movement, marker), 'there')
    return undefined
  }

  async #head(path: string): Promise<StoredHead | undefined> {
    const file = inside(path, headName)
    const text = await this.#queue.io.calls.read(file, 'size first')
    try {
      return text === undefined ? undefined : (JSON.parse(text) as StoredHead)
    } catch (cause) {
      throw new Error(
        `Expected the head of an upload in ${file}, got no JSON. Remove ${path} to begin this upload again: what it inserted ` +
          'before is then inserted a second time.',
        { cause },
      )
    }
  }

  async #isFinished(path: string): Promise<boolean> {
    return (await this.#queue.io.calls.stat(inside(path, 'finished'))) !== undefined
  }

  /** @throws Error if the run no longer belongs to this process, or its tasks were purged */
  async #note(run: string, name: string, text: string): Promise<void> {
    const path = this.#path(run)
    if (!(await this.#replace(path, name, text))) throw takenOver(path)
    const begun = await this.#head(path)
    if (begun === undefined) throw takenOver(path)
    if (await this.#isPurged(begun)) throw purged(this.#queue.label)
  }

  /** Writes a file of a run, whole or not at all, as all that is renamed. `false`: the run's folder is gone. */
  async #replace(path: string, name: string, text: string): Promise<boolean> {
    const { io } = this.#queue
    const staged = inside(path, `${name}.new`)
    try {
      await io.write(staged, text, 'w')
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      return false
    }
    if (!(await io.calls.rename(staged, inside(path, name)))) return false
    await io.sync(path)
    return true
  }

  async #sweep(): Promise<void> {
    const { io, layout, clock } = this.#queue
    for (const name of await allNames(this.#queue, layout.uploads)) {
      if (!name.startsWith(unnamedPrefix)) continue
      const run = (await allNames(this.#queue, this.#path(name))).find(isId)
      const facts = await io.calls.stat(this.#path(run === undefined ? name : `${name}/${run}`))
      const isStale = facts !== undefined && clock.nowSeconds - facts.modifiedMs / 1000 > staleSeconds
      if (isStale) await takeAwayTree(this.#queue, this.#path(name))
    }
  }

  async #guarded<T>(verb: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw isErrorNamed(error, 'UploadGoneError') ? error : queueFault(this.#queue, verb, error)
    }
  }
}

function headOf({ seed, sequence, total }: StoredHead): UploadHead {
  return { seed, sequence, total }
}

function headText({ seed, sequence, total }: UploadHead, marker: string | undefined): string {
  return JSON.stringify({ seed, sequence, total, marker })
}

function purged(label: string): UploadGoneError {
  return new UploadGoneError(
    `${label} was purged by Python while this insert was under way, so tasks that it stored before may be gone. With the same ` +
      '`resume`, insert them again.',
  )
}

function foreignNames(path: string, names: readonly string[]): Error {
  return new Error(
    `Expected the folder of an upload's run in ${path}, found ${names.slice(0, 3).join(', ')}. Remove ${path} to begin this ` +
      'upload again, or choose another name.',
  )
}

function contended(path: string): Error {
  return new Error(
    `Expected to take the upload in ${path} over, but others were faster for ${takeoverTimeoutMs / 1000} s. One process at a time ` +
      'continues an upload: end the others.',
  )
}
