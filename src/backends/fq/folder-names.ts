/**
 * Reading the names in a folder through Node, as a stream.
 *
 * Node's `Dir` wants the type of each entry. On a filesystem without types (NFS without READDIRPLUS, SSHFS, XFS with
 * ftype=0, ext4 without `filetype`), it calls `lstatSync` for each entry, blocking also in `dir.read()`, and throws if
 * the entry is gone, losing the rest of what it had read. So there the names are read by `readdir`, which needs no
 * types. That reads the whole folder before it returns the first name, and takes about 200 bytes of memory a name.
 */
import { type Dir, Dirent, opendirSync, promises, statSync } from 'node:fs'
import { isError } from '../../errors/thrown.js'
import { type Awaitable, after, rescue } from './awaitable.js'
import { errorCode, type FolderStream } from './file-system.js'

// Names a slice, and a call of a blocking stream: 1,024 take about 0.6 ms of the event loop on a local disk. Node reads with a
// larger buffer no faster, and from 32,768 on far slower.
const namesPerSlice = 1024

// Names per pooled call. This number of `lstat`s blocks the event loop at most, once for each filesystem without types.
const namesPerPooledCall = 128

// Some filesystems stop returning types within a folder: NFS after its first replies, which have tens of names. This
// number of names is kept, so that they are not returned a second time. A filesystem that returned more types continues
// to.
const maxRemembered = 2 ** 14

/** Filesystems without types, by their device numbers. */
const untypedDevices = new Set<number>()

/** The used part of Node's `Dir`. */
type Entries = Pick<Dir, 'close' | 'closeSync' | 'read' | 'readSync'>

/** Reads an open folder: its next names, or `undefined` if the type of one is missing. */
interface Source {
  slice(): Awaitable<readonly string[] | undefined>
  close(): Awaitable<void>
}

/**
 * True on a filesystem that is known to have no types; `openWhole` reads it. Asks the disk only if there is a known
 * one.
 */
export function isUntyped(path: string): boolean {
  const dev = untypedDevices.size > 0 ? statSync(path, { throwIfNoEntry: false })?.dev : undefined
  return dev !== undefined && untypedDevices.has(dev)
}

/** As {@link isUntyped}, in the pool. */
export async function isUntypedLater(path: string): Promise<boolean> {
  return untypedDevices.size > 0 && untypedDevices.has((await promises.stat(path)).dev)
}

/** Opens a folder for blocking calls, as long as the filesystem returns types. */
export function openEntriesSync(path: string, open: (path: string) => Entries = openDirSync): FolderStream {
  const entries = open(path)
  return new FolderNames(path, { slice: () => sliceSync(entries), close: () => entries.closeSync() })
}

/** Opens a folder for calls in the pool. */
export async function openEntries(
  path: string,
  open: (path: string) => Promise<Entries> = openDir,
): Promise<FolderStream> {
  const entries = await open(path)
  return new FolderNames(path, { slice: () => slicePooled(entries), close: () => entries.close() })
}

/** Reads all names of a folder but those that were `given` before, in the pool, and gives them in slices. */
export async function openWhole(path: string, given: ReadonlySet<string> = new Set()): Promise<FolderStream> {
  const all = await promises.readdir(path)
  const names = given.size === 0 ? all : all.filter(name => !given.has(name))
  // Node returns them in alphabetical order. Each reading begins elsewhere, or workers that end soon would always take
  // the same tasks.
  const start = Math.floor(Math.random() * names.length)
  const parts = [names.splice(start), names]
  return {
    read: () => {
      if (parts[0]?.length === 0) parts.shift()
      return parts[0]?.splice(-namesPerSlice) ?? []
    },
    close: () => {
      parts.length = 0
    },
  }
}

class FolderNames implements FolderStream {
  readonly #path: string
  readonly #source: Source
  #given: string[] = []
  #whole: FolderStream | undefined

  constructor(path: string, source: Source) {
    this.#path = path
    this.#source = source
  }

  read(): Awaitable<readonly string[]> {
    if (this.#whole !== undefined) return this.#whole.read()
    const slice = rescue(
      () => this.#source.slice(),
      error => {
        if (failedToAsk(error)) return undefined
        throw error
      },
    )
    return after(slice, names => (names === undefined ? this.#readWhole() : this.#give(names)))
  }

  close(): Awaitable<void> {
    return this.#source.close()
  }

  #give(names: readonly string[]): readonly string[] {
    if (this.#given.length < maxRemembered) this.#given.push(...names)
    return names
  }

  async #readWhole(): Promise<readonly string[]> {
    try {
      untypedDevices.add((await promises.stat(this.#path)).dev)
      this.#whole = await openWhole(this.#path, new Set(this.#given))
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      // The folder itself was removed.
      return []
    }
    this.#given = []
    return this.#whole.read()
  }
}

function openDirSync(path: string): Dir {
  return opendirSync(path, { bufferSize: namesPerSlice })
}

function openDir(path: string): Promise<Dir> {
  return promises.opendir(path, { bufferSize: namesPerPooledCall })
}

/** True if Node called `lstat` for the type of this entry: those have a class of their own. */
function wasAskedFor(entry: Dirent): boolean {
  return Object.getPrototypeOf(entry) !== Dirent.prototype
}

/** True if Node failed to get a type: the entry is gone, or nothing in this folder may be examined. */
function failedToAsk(error: unknown): boolean {
  return isError(error) && 'syscall' in error && error.syscall === 'lstat'
}

function sliceSync(entries: Entries): string[] | undefined {
  const names: string[] = []
  for (let entry = entries.readSync(); entry; entry = entries.readSync()) {
    if (wasAskedFor(entry)) return undefined
    if (names.push(entry.name) === namesPerSlice) break
  }
  return names
}

async function slicePooled(entries: Entries): Promise<string[] | undefined> {
  const names: string[] = []
  for (let entry = await entries.read(); entry; entry = await entries.read()) {
    if (wasAskedFor(entry)) return undefined
    if (names.push(entry.name) === namesPerSlice) break
  }
  return names
}
