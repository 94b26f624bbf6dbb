/** Node's filesystem behind the interface of the file queue. */
import { randomUUID } from 'node:crypto'
import {
  closeSync,
  constants,
  type Dir,
  existsSync,
  fstatSync,
  mkdirSync,
  opendirSync,
  openSync,
  promises,
  readFileSync,
  renameSync,
  rmdirSync,
  type Stats,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { errorCode, type FileCalls, type FileFacts, type FileSystem, isGone, type WriteFlag } from './file-system.js'

// Names per system call and per slice: 1,024 take about 0.6 ms of the event loop on a local disk. Node reads with a
// larger buffer no faster, and from 32,768 on far slower.
const NAMES_A_READ = 1024

// Linux: a file without a name, which no listing ever shows and which leaves the folder's own times alone. Node doesn't
// export the constant; O_DIRECTORY, which is part of it, differs between architectures.
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY | constants.O_WRONLY

// Made once, not at each of a million calls. Node writes a string with one call of its own only where the encoding is said.
const AS_TEXT = { encoding: 'utf8' } as const
const WRITING: Record<WriteFlag, { encoding: 'utf8'; flag: WriteFlag }> = {
  w: { encoding: 'utf8', flag: 'w' },
  a: { encoding: 'utf8', flag: 'a' },
  wx: { encoding: 'utf8', flag: 'wx' },
}

function facts(stats: Stats): FileFacts {
  return { isFolder: stats.isDirectory(), sizeBytes: stats.size, modifiedMs: stats.mtimeMs }
}

/** What a filesystem says that knows no files without a name (NFS, SMB, macOS): the clock then needs a name. */
function knowsNoNameless(error: unknown): boolean {
  return ['EOPNOTSUPP', 'ENOTSUP', 'EISDIR', 'EINVAL', 'ENOSYS'].includes(errorCode(error) ?? '')
}

/** The answer to an error that says that the file is gone; throws any other. */
function absent<T>(error: unknown, answer: T): T {
  if (isGone(error)) return answer
  throw error
}

/** Runs `call`; `answer` where the file is gone. */
function unlessGone<T, U>(call: () => T, answer: U): T | U {
  try {
    return call()
  } catch (error) {
    return absent(error, answer)
  }
}

async function laterUnlessGone<T, U>(call: Promise<T>, answer: U): Promise<T | U> {
  try {
    return await call
  } catch (error) {
    return absent(error, answer)
  }
}

function unlessThere(error: unknown): void {
  if (errorCode(error) !== 'EEXIST') throw error
}

const blocking: FileCalls = {
  rename(from, to) {
    try {
      renameSync(from, to)
      return true
    } catch (error) {
      return absent(error, false)
    }
  },
  unlink(path, likelihood) {
    if (likelihood === 'absent' && !existsSync(path)) return false
    try {
      unlinkSync(path)
      return true
    } catch (error) {
      return absent(error, false)
    }
  },
  read(path, likelihood) {
    if (likelihood === 'absent' && !existsSync(path)) return undefined
    try {
      return readFileSync(path, AS_TEXT)
    } catch (error) {
      return absent(error, undefined)
    }
  },
  write: (path, text, flag) => writeFileSync(path, text, WRITING[flag]),
  stat(path) {
    const stats = statSync(path, { throwIfNoEntry: false })
    return stats && facts(stats)
  },
  makeFolder(path) {
    try {
      mkdirSync(path)
    } catch (error) {
      unlessThere(error)
    }
  },
  openFolder(path) {
    const folder = unlessGone(() => opendirSync(path, { bufferSize: NAMES_A_READ }), undefined)
    return (
      folder && {
        read() {
          const names: string[] = []
          for (let entry = folder.readSync(); entry; entry = folder.readSync()) {
            names.push(entry.name)
            if (names.length === NAMES_A_READ) break
          }
          return names
        },
        close: () => folder.closeSync(),
      }
    )
  },
  removeFolder: path => rmdirSync(path),
  clockMs(folder) {
    const modified = (path: string, flags: string | number) => {
      const file = openSync(path, flags)
      try {
        return fstatSync(file).mtimeMs
      } finally {
        closeSync(file)
      }
    }
    return unlessGone(() => {
      try {
        return modified(folder, O_TMPFILE)
      } catch (error) {
        if (!knowsNoNameless(error)) throw error
        const path = join(folder, `clock-${randomUUID()}`)
        const milliseconds = modified(path, 'wx')
        unlinkSync(path)
        return milliseconds
      }
    }, undefined)
  },
}

async function namesOf(folder: Dir): Promise<string[]> {
  const names: string[] = []
  for (let entry = await folder.read(); entry; entry = await folder.read()) {
    names.push(entry.name)
    if (names.length === NAMES_A_READ) break
  }
  return names
}

const pooled: FileCalls = {
  rename: (from, to) =>
    laterUnlessGone(
      promises.rename(from, to).then(() => true),
      false,
    ),
  unlink: path =>
    laterUnlessGone(
      promises.unlink(path).then(() => true),
      false,
    ),
  read: path => laterUnlessGone(promises.readFile(path, 'utf8'), undefined),
  write: (path, text, flag) => promises.writeFile(path, text, { flag }),
  stat: path => laterUnlessGone(promises.stat(path).then(facts), undefined),
  makeFolder: path => promises.mkdir(path).catch(unlessThere),
  async openFolder(path) {
    const folder = await laterUnlessGone(promises.opendir(path, { bufferSize: NAMES_A_READ }), undefined)
    return folder && { read: () => namesOf(folder), close: () => folder.close() }
  },
  removeFolder: path => promises.rmdir(path),
  async clockMs(folder) {
    const modified = async (path: string, flags: string | number) => {
      const file = await promises.open(path, flags)
      try {
        return (await file.stat()).mtimeMs
      } finally {
        await file.close()
      }
    }
    const named = async (error: unknown) => {
      if (!knowsNoNameless(error)) throw error
      const path = join(folder, `clock-${randomUUID()}`)
      const milliseconds = await modified(path, 'wx')
      await promises.unlink(path)
      return milliseconds
    }
    return laterUnlessGone(modified(folder, O_TMPFILE).catch(named), undefined)
  },
}

/** The filesystem of this machine. */
export const nodeFileSystem: FileSystem = {
  blocking,
  pooled,
  writeSynced: (path, text, flag) => promises.writeFile(path, text, { flag, flush: true }),
  async syncFolder(path) {
    const folder = await promises.open(path, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  },
}
