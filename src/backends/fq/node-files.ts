/** Node's filesystem behind the interface of the file queue. */
import { randomUUID } from 'node:crypto'
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
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
import { basename, dirname, join } from 'node:path'
import { sleep } from '../../time/sleep.js'
import {
  errorCode,
  type FileCalls,
  type FileFacts,
  type FileSystem,
  isMissing,
  isStaleHandle,
  type WriteFlag,
} from './file-system.js'
import { isUntyped, isUntypedLater, openEntries, openEntriesSync, openWhole } from './folder-names.js'

// Linux: a file without a name, which no listing shows and which doesn't change the folder's own times. Node doesn't
// export the constant; O_DIRECTORY, which is part of it, differs between architectures.
const openUnnamed = 0o20000000 | constants.O_DIRECTORY | constants.O_WRONLY

// Any user who can write into the queue's folder may put links there, to files outside the queue; and opening a pipe without
// a writer would never return. Windows has neither flag.
const { O_RDONLY, O_WRONLY, O_CREAT, O_TRUNC, O_APPEND, O_EXCL, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants
const safeFlags = O_NOFOLLOW | O_NONBLOCK
const openFlags: Record<WriteFlag, number> = {
  w: O_WRONLY | O_CREAT | O_TRUNC | safeFlags,
  a: O_WRONLY | O_CREAT | O_APPEND | safeFlags,
  wx: O_WRONLY | O_CREAT | O_EXCL | safeFlags,
}

// Created once, not at each of a million calls. Node writes a string in a single call only if the encoding is given.
// Its types allow only texts as flags; its documentation has numbers too.
const readOptions = { encoding: 'utf8', flag: (O_RDONLY | safeFlags) as unknown as string } as const
const writeOptions: Record<WriteFlag, { encoding: 'utf8'; flag: string }> = {
  w: { encoding: 'utf8', flag: openFlags.w as unknown as string },
  a: { encoding: 'utf8', flag: openFlags.a as unknown as string },
  wx: { encoding: 'utf8', flag: openFlags.wx as unknown as string },
}

const statOptions = { throwIfNoEntry: false } as const

// The longest text that Node can hold has 24 characters less. No file of a queue comes near. A short file is split into
// lines, which takes several times its size: 16 MiB are the names of 250,000 attempts.
const maxBytes = { 'size first': 2 ** 29, short: 2 ** 24 } as const

function facts(stats: Stats): FileFacts {
  return { isFolder: stats.isDirectory(), sizeBytes: stats.size, modifiedMs: stats.mtimeMs }
}

/** True for the errors of filesystems without unnamed files (NFS, SMB, macOS): the clock then needs a name. */
function lacksUnnamedFiles(error: unknown): boolean {
  return ['EOPNOTSUPP', 'ENOTSUP', 'EISDIR', 'EINVAL', 'ENOSYS'].includes(errorCode(error) ?? '')
}

/** Throws if reading would fill the memory: Node's own limits are higher than that. */
function requireReadable(path: string, how: keyof typeof maxBytes, { size }: Stats): void {
  const longest = maxBytes[how]
  if (size <= longest) return
  const error: NodeJS.ErrnoException = new Error(`Expected a file of at most ${longest} bytes, ${path} has ${size}`)
  error.code = 'EFBIG'
  throw error
}

// A handle of a folder or file that another host has replaced says nothing about what is there now. Linux itself looks
// the path up again once; a third try is for a file that is replaced all the time.
const staleLooks = 3

/** Runs `call`, which may run twice, again while it gets a stale handle; `undefined` if there is no such file. */
function look<T>(call: () => T, how?: string): T | undefined {
  for (let looks = how === 'hint' ? staleLooks : 1; ; looks++) {
    try {
      return call()
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      if (errorCode(error) !== 'ESTALE' || looks === staleLooks) throw error
    }
  }
}

// A pooled call has time: GlusterFS caches a name for a second. Milliseconds after each try but the last.
const stalePausesMs = [0, 0, 200, 1_000]

async function lookLater<T>(call: () => Promise<T>, how?: string): Promise<T | undefined> {
  for (let looks = how === 'hint' ? stalePausesMs.length : 0; ; looks++) {
    try {
      return await call()
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined
      const pauseMs = stalePausesMs[looks]
      if (errorCode(error) !== 'ESTALE' || pauseMs === undefined) throw error
      if (pauseMs > 0) await sleep(pauseMs)
    }
  }
}

// A rename that failed with ENOENT although its source and the folder of its target are there uses names that appear
// and disappear at that moment.
const maxRenameTries = 3

/**
 * After a rename within one folder has failed with ENOENT, it is clear which is missing: the source. Otherwise both are
 * checked, the source first: a missing source was taken by another process, also if the folder is gone too.
 */
function renameBlocking(from: string, to: string, how?: 'hint'): boolean {
  for (let tries = 1; ; tries++) {
    try {
      renameSync(from, to)
      return true
    } catch (error) {
      if (isStaleHandle(error)) {
        if (how === 'hint') return false
        if (tries >= staleLooks) throw error
      } else {
        if (!isMissing(error)) throw error
        if (dirname(from) === dirname(to)) return false
        if (look(() => lstatSync(from, statOptions)) === undefined) return false
        const isFolderThere = look(() => lstatSync(dirname(to), statOptions)) !== undefined
        if (!isFolderThere || tries >= maxRenameTries) throw error
      }
    }
  }
}

/** As `renameBlocking`. */
async function renamePooled(from: string, to: string, how?: 'hint'): Promise<boolean> {
  for (let tries = 1; ; tries++) {
    try {
      await promises.rename(from, to)
      return true
    } catch (error) {
      if (isStaleHandle(error)) {
        const pauseMs = stalePausesMs[tries - 1]
        if (how === 'hint') return false
        if (pauseMs === undefined) throw error
        if (pauseMs > 0) await sleep(pauseMs)
      } else {
        if (!isMissing(error)) throw error
        if (dirname(from) === dirname(to)) return false
        if ((await lookLater(() => promises.lstat(from))) === undefined) return false
        const isFolderThere = (await lookLater(() => promises.lstat(dirname(to)))) !== undefined
        if (!isFolderThere || tries >= maxRenameTries) throw error
      }
    }
  }
}

/** Removes a file, for `look` and `lookLater`. */
function removedSync(path: string): true {
  unlinkSync(path)
  return true
}

async function removed(path: string): Promise<true> {
  await promises.unlink(path)
  return true
}

function unlessThere(error: unknown): void {
  if (errorCode(error) !== 'EEXIST') throw error
}

const blocking: FileCalls = {
  rename: renameBlocking,
  unlink: (path, likelihood) =>
    (likelihood === 'there' || existsSync(path)) && (look(() => removedSync(path)) ?? false),
  read: (path, how) =>
    look(() => {
      if (how === 'size first' || how === 'short') {
        const stats = lstatSync(path, statOptions)
        if (stats === undefined) return undefined
        requireReadable(path, how, stats)
      }
      return readFileSync(path, readOptions)
    }, how),
  write: (path, text, flag) => writeFileSync(path, text, writeOptions[flag]),
  stat(path, how) {
    const stats = look(() => statSync(path, { throwIfNoEntry: false }), how)
    return stats && facts(stats)
  },
  isLink: path => look(() => lstatSync(path, statOptions))?.isSymbolicLink(),
  makeFolder(path) {
    try {
      mkdirSync(path)
    } catch (error) {
      unlessThere(error)
    }
  },
  openFolder: path => (isUntyped(path) ? pooled.openFolder(path) : look(() => openEntriesSync(path))),
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
    return look(() => {
      try {
        return modified(folder, openUnnamed)
      } catch (error) {
        if (!lacksUnnamedFiles(error)) throw error
        const path = join(folder, `clock-${randomUUID()}`)
        const milliseconds = modified(path, 'wx')
        unlinkSync(path)
        return milliseconds
      }
    })
  },
}

const pooled: FileCalls = {
  rename: renamePooled,
  unlink: async path => (await lookLater(() => removed(path))) ?? false,
  read: (path, how) =>
    lookLater(async () => {
      if (how === 'size first' || how === 'short') requireReadable(path, how, await promises.lstat(path))
      return promises.readFile(path, readOptions)
    }, how),
  write: (path, text, flag) => promises.writeFile(path, text, writeOptions[flag]),
  stat: (path, how) => lookLater(() => promises.stat(path).then(facts), how),
  isLink: async path => (await lookLater(() => promises.lstat(path)))?.isSymbolicLink(),
  makeFolder: path => promises.mkdir(path).catch(unlessThere),
  openFolder: path => lookLater(async () => ((await isUntypedLater(path)) ? openWhole(path) : openEntries(path))),
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
      if (!lacksUnnamedFiles(error)) throw error
      const path = join(folder, `clock-${randomUUID()}`)
      const milliseconds = await modified(path, 'wx')
      await promises.unlink(path)
      return milliseconds
    }
    return lookLater(() => modified(folder, openUnnamed).catch(named))
  },
}

// Linux's numbers for filesystems of local disks, statfs(2): ext2 to ext4, XFS, Btrfs, tmpfs, overlay, ZFS, F2FS, bcachefs.
const localDisks = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x2fc12fc1, 0xf2f52010, 0xca451a4e])

/** The filesystem of this machine. */
export const nodeFileSystem: FileSystem = {
  blocking,
  pooled,
  async placeOf(folder) {
    if (process.platform !== 'linux') return 'unknown'
    const { type } = await promises.statfs(folder)
    return localDisks.has(type) ? 'local' : 'network'
  },
  async identityOf(folder) {
    for (let path = folder, rest = ''; ; rest = join('/', basename(path), rest), path = dirname(path)) {
      try {
        const { dev, ino } = await promises.stat(path, { bigint: true })
        return `${dev}:${ino}${rest}`
      } catch (error) {
        if (!isMissing(error) || path === dirname(path)) throw error
      }
    }
  },
  writeSynced: (path, text, flag) => promises.writeFile(path, text, { ...writeOptions[flag], flush: true }),
  async syncFolder(path) {
    const folder = await promises.open(path, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  },
}
