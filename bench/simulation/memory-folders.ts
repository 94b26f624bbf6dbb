/** A tree of folders in memory, as far as the file queue needs one, for a folder of a million names. */
import { basename, dirname } from 'node:path'
import { filesystemMs } from './virtual-time.js'

// Names per read, the same as in the library's calls.
const NAMES_A_READ = 1024

// Names lie in the order of their hash, as on ext4 and Lustre. A power of two; a bucket of a folder with a million names
// has 244 of them.
const BUCKETS = 4096

/** The content of a file. Its text may be created when it is read: a million texts need not be in memory. */
export interface MemoryFile {
  text: string | ((path: string) => string)
  modifiedMs: number
}

function bucketOf(name: string): number {
  // FNV-1a over the characters in which names of tasks differ.
  let hash = 0x811c9dc5
  for (let index = 0; index < name.length && index < 24; index++) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193)
  }
  return (hash ^ (hash >>> 16)) & (BUCKETS - 1)
}

export class MemoryFolder {
  readonly #buckets: (Map<string, MemoryFile> | undefined)[] = Array.from({ length: BUCKETS })
  size = 0

  get(name: string): MemoryFile | undefined {
    return this.#buckets[bucketOf(name)]?.get(name)
  }

  set(name: string, file: MemoryFile): void {
    const index = bucketOf(name)
    this.#buckets[index] ??= new Map()
    const bucket = this.#buckets[index]
    const before = bucket.size
    bucket.set(name, file)
    this.size += bucket.size - before
  }

  delete(name: string): boolean {
    const isGone = this.#buckets[bucketOf(name)]?.delete(name) === true
    if (isGone) this.size--
    return isGone
  }

  /** The names from a bucket on, in whole buckets; `next` is the start of the rest. No names: there is no rest. */
  names(from: number): { names: string[]; next: number } {
    const names: string[] = []
    let next = from
    for (; next < BUCKETS && names.length < NAMES_A_READ; next++) {
      const bucket = this.#buckets[next]
      if (bucket !== undefined) for (const name of bucket.keys()) names.push(name)
    }
    return { names, next }
  }
}

export function fault(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: in the simulated filesystem, '${path}'`), { code })
}

export class MemoryFolders {
  readonly #folders = new Map<string, MemoryFolder>([['/', new MemoryFolder()]])

  folder(path: string): MemoryFolder | undefined {
    return this.#folders.get(path)
  }

  has(path: string): boolean {
    return this.folder(path) !== undefined || this.file(path) !== undefined
  }

  makeFolder(path: string): void {
    if (this.#folders.has(path)) return
    if (!this.#folders.has(dirname(path))) throw fault('ENOENT', path)
    this.#folders.set(path, new MemoryFolder())
  }

  removeFolder(path: string): void {
    if (!this.#folders.delete(path)) throw fault('ENOENT', path)
  }

  file(path: string): MemoryFile | undefined {
    const { folder, name } = this.#place(path)
    return folder?.get(name)
  }

  write(path: string, text: string, flag: 'w' | 'a' | 'wx'): void {
    const { folder, name } = this.#place(path)
    if (folder === undefined) throw fault('ENOENT', path)
    const before = folder.get(name)
    if (flag === 'wx' && before !== undefined) throw fault('EEXIST', path)
    const kept = flag === 'a' && before !== undefined ? textOf(before, path) : ''
    folder.set(name, { text: kept + text, modifiedMs: filesystemMs() })
  }

  unlink(path: string): boolean {
    const { folder, name } = this.#place(path)
    return folder?.delete(name) === true
  }

  rename(from: string, to: string): boolean {
    const source = this.#place(from)
    const file = source.folder?.get(source.name)
    const target = this.#place(to)
    if (file === undefined && this.#folders.get(from) === undefined) return false
    if (target.folder === undefined) throw fault('ENOENT', to)
    if (file === undefined) return this.#renameFolder(from, to)
    source.folder?.delete(source.name)
    target.folder.set(target.name, file)
    return true
  }

  #renameFolder(from: string, to: string): boolean {
    const folder = this.#folders.get(from)
    if (folder === undefined) return false
    if ((this.#folders.get(to)?.size ?? 0) > 0) throw fault('ENOTEMPTY', to)
    this.#folders.delete(from)
    this.#folders.set(to, folder)
    return true
  }

  #place(path: string): { folder: MemoryFolder | undefined; name: string } {
    const slash = path.lastIndexOf('/')
    return { folder: this.#folders.get(path.slice(0, slash)), name: path.slice(slash + 1) }
  }
}

export function textOf({ text }: MemoryFile, path: string): string {
  return typeof text === 'string' ? text : text(basename(path))
}
