/**
 * Refuses symbolic links in the place of a queue's folders. Who may write into a queue could otherwise lead its workers, which may have
 * more rights, into any other folder: to files that they would replace, remove or read there.
 *
 * The folder named by the user may be a link; every folder from there to a file may not. Each is checked when it is
 * first used, and again each time that the queue's place is checked, every half minute (over a network every third
 * minute): a check at each call would double the cost of tasks.
 */
import { dirname, sep } from 'node:path'
import { type Awaitable, after } from './awaitable.js'
import type { FileCalls, FileSystem } from './file-system.js'

// Each look is a request for each folder in use.
const networkLookMs = 150_000

// Folders of uploads have new names all the time.
const maxKnown = 1_000

const slashCode = '/'.charCodeAt(0)

/** The same filesystem, whose calls throw ENOTDIR if a folder below `root` is a link. */
export function refuseLinks(files: FileSystem, root: string): FileSystem {
  const known = new Set<string>()
  let lookAgainMs = Number.NEGATIVE_INFINITY
  return {
    ...files,
    blocking: checkedCalls(files.blocking, { root, known }),
    pooled: checkedCalls(files.pooled, { root, known }),
    async placeOf(folder) {
      const place = (await files.placeOf?.(folder)) ?? 'local'
      if (place === 'local' || performance.now() > lookAgainMs) {
        known.clear()
        lookAgainMs = performance.now() + networkLookMs
      }
      return place
    },
    async writeSynced(path, text, flag) {
      await requireNoLink(files.pooled, { root, known }, dirname(path))
      await files.writeSynced(path, text, flag)
    },
  }
}

interface Folders {
  /** The folder that the user has named. */
  readonly root: string
  /** Those below it that are no links. */
  readonly known: Set<string>
}

function checkedCalls(calls: FileCalls, folders: Folders): FileCalls {
  const { known } = folders
  // No closures, and `lastIndexOf` only where the folder's name is not as long as the last one: a task takes four of these calls, of
  // some microseconds each.
  let length = 0
  const isKnown = (path: string) => {
    if (path.charCodeAt(length) !== slashCode || path.indexOf('/', length + 1) >= 0) length = path.lastIndexOf('/')
    return known.has(path.slice(0, length))
  }
  const require = (folder: string) => requireNoLink(calls, folders, folder)
  const checked = <T>(path: string, call: () => Awaitable<T>): Awaitable<T> => after(require(dirname(path)), call)
  return {
    ...calls,
    rename: (from, to, how) =>
      isKnown(from) && isKnown(to)
        ? calls.rename(from, to, how)
        : checked(from, () => checked(to, () => calls.rename(from, to, how))),
    unlink: (path, likelihood) =>
      isKnown(path) ? calls.unlink(path, likelihood) : checked(path, () => calls.unlink(path, likelihood)),
    read: (path, how) => (isKnown(path) ? calls.read(path, how) : checked(path, () => calls.read(path, how))),
    write: (path, text, flag) =>
      isKnown(path) ? calls.write(path, text, flag) : checked(path, () => calls.write(path, text, flag)),
    stat: (path, how) => (isKnown(path) ? calls.stat(path, how) : checked(path, () => calls.stat(path, how))),
    removeFolder: path => checked(path, () => calls.removeFolder(path)),
    // An existing file may be a link.
    makeFolder: path => checked(path, () => after(calls.makeFolder(path), () => require(path))),
    openFolder: path => after(require(path), () => calls.openFolder(path)),
  }
}

/** Throws ENOTDIR where `folder`, or one on the way from `root` to it, is a link. */
function requireNoLink(calls: FileCalls, folders: Folders, folder: string): Awaitable<void> {
  const { root, known } = folders
  if (known.has(folder) || !isBelow(folder, root)) return
  return after(requireNoLink(calls, folders, dirname(folder)), () =>
    after(calls.isLink(folder), isLink => {
      if (isLink) throw linkError(folder)
      if (known.size === maxKnown) known.clear()
      if (isLink === false) known.add(folder)
    }),
  )
}

function isBelow(folder: string, root: string): boolean {
  return folder.length > root.length && folder.startsWith(root) && ['/', sep].includes(folder.charAt(root.length))
}

function linkError(path: string): Error {
  const message =
    `Expected a folder at ${path}, found a symbolic link. Links in the place of a queue's folders are not followed: remove it, and ` +
    'move what it leads to there if that belongs to the queue'
  return Object.assign(new Error(message), { code: 'ENOTDIR', path })
}
