/**
 * The few filesystem calls of the file queue, as an interface: tests replace it with a slow, faulty or crashing one.
 * Every call exists twice: `blocking` for a fast local disk, where a call takes microseconds and a thread would cost
 * more than it saves, and `pooled` for a network filesystem, where many calls are in flight at once.
 *
 * A result of `false` or `undefined` has one meaning: the file is not there, another process was faster. Any other
 * error is thrown unchanged, with its path: ENOENT of a rename whose source is still there, or ESTALE, a stale handle
 * of NFS. A call with a stale handle is retried first: a count that another host has just replaced must not read as
 * none, and a task must not be taken for lost.
 */

import { constants } from 'node:os'
import { codeOf, messageOf } from '../../errors/thrown.js'
import type { Awaitable } from './awaitable.js'

/** The result of `stat`. */
export interface FileFacts {
  readonly isFolder: boolean
  readonly sizeBytes: number
  /** Milliseconds since 1970, by the clock of the filesystem. */
  readonly modifiedMs: number
}

/** A folder that is read as a stream of names, in the order of the filesystem. */
export interface FolderStream {
  /** The next names, up to about a thousand; an empty array at the end. */
  read(): Awaitable<readonly string[]>
  close(): Awaitable<void>
}

/**
 * The caller's expectation of the file. A blocking call for a file that is probably absent checks first: a failing call
 * builds an Error, which costs several times as much as the check.
 */
export type Likelihood = 'there' | 'absent'

/** The way `write` opens its file: made new or emptied, appended to, or refused (EEXIST) when it is there. */
export type WriteFlag = 'w' | 'a' | 'wx'

/**
 * `size first` refuses a file that would fill the memory (EFBIG), `short` any of more than 16 MiB, both at the price of one
 * more call. A `hint` is read at once, and not again where the handle was old (ESTALE).
 */
type Reading = 'at once' | 'size first' | 'short' | 'hint'

export interface FileCalls {
  /**
   * Replaces an existing `to`. `false`: there is no `from`, which is checked if the error alone doesn't say so. Throws
   * ENOENT if `from` is there and the folder of `to` isn't; ESTALE if nothing is known. For a `hint` ESTALE is `false`
   * too: the caller has other names to try.
   */
  rename(from: string, to: string, how?: 'hint'): Awaitable<boolean>
  /** `false`: there is no such file. Throws ESTALE where nothing is known. */
  unlink(path: string, likelihood: Likelihood): Awaitable<boolean>
  /** The whole file as UTF-8, or `undefined` if there is none. */
  read(path: string, how: Reading): Awaitable<string | undefined>
  /** Writes the whole text. Throws ENOENT without a folder. */
  write(path: string, text: string, flag: WriteFlag): Awaitable<void>
  /** `undefined`: there is nothing. Of a `hint` an old handle (ESTALE) is an error at once. */
  stat(path: string, how?: 'hint'): Awaitable<FileFacts | undefined>
  /** True for a symbolic link; `undefined`: there is nothing. */
  isLink(path: string): Awaitable<boolean | undefined>
  /** Makes one folder; it may exist. Throws ENOENT without its parent. */
  makeFolder(path: string): Awaitable<void>
  /** `undefined`: there is no such folder. */
  openFolder(path: string): Awaitable<FolderStream | undefined>
  /** Removes an empty folder. */
  removeFolder(path: string): Awaitable<void>
  /**
   * The filesystem's clock: the modification time, in milliseconds since 1970, of a file that is made in `folder` now and
   * doesn't stay. `undefined`: there is no such folder.
   */
  clockMs(folder: string): Awaitable<number | undefined>
}

/** A disk of this machine, one of another machine, or unknown. */
export type Place = 'local' | 'network' | 'unknown'

export interface FileSystem {
  readonly blocking: FileCalls
  readonly pooled: FileCalls
  /**
   * The place of the files in `folder`. On a local disk this host always knows the current names. Elsewhere it may
   * cache for a while a name that another host has changed, and then a rename onto the same file "succeeds" and does
   * nothing: Linux asks the server only if the two names are different files (`vfs_rename`). Default: on a local disk.
   */
  placeOf?(folder: string): Promise<Place>
  /**
   * The same text for two paths of one folder, and for no other folder; also for a folder that doesn't exist yet.
   * Default: two paths are two folders.
   */
  identityOf?(folder: string): Promise<string>
  /** Writes the whole text; it is on the disk when this resolves (fsync). Milliseconds on most disks, so never blocking. */
  writeSynced(path: string, text: string, flag: WriteFlag): Promise<void>
  /** fsync of a folder: the names in it are on the disk when this resolves. */
  syncFolder(path: string): Promise<void>
}

// libuv has no names for some errors of networks and quotas: Node then says `Unknown system error -116` for ESTALE.
const unnamedError = /Unknown system error -(\d+)/g
const errorNames = new Map(Object.entries(constants.errno).map(([name, number]) => [String(number), name]))

function named(text: string): string {
  return text.replaceAll(unnamedError, (whole, number: string) => errorNames.get(number) ?? whole)
}

/** The code of a system error, e.g. `ENOSPC`; `undefined` for any other error. */
export function errorCode(error: unknown): string | undefined {
  const code = codeOf(error)
  return code === undefined ? undefined : named(code)
}

/** The message of an error, with the name of a system error where Node has only its number. */
export function errorMessage(error: unknown): string {
  return named(messageOf(error))
}

/** Codes of `read` for something that is no file (a link, a folder, a pipe, a device), or a file longer than the longest text. */
const unreadableCodes = ['ELOOP', 'EISDIR', 'ENXIO', 'EAGAIN', 'EFBIG', 'ERR_STRING_TOO_LONG']

/**
 * A text that describes the object in place of a task's file, and is no task either. Every other error is thrown again.
 */
export function textOfNoFile(error: unknown): string {
  const code = codeOfNoFile(error)
  if (code === undefined) throw error
  return `no file: ${code}`
}

/** The code of an error that `textOfNoFile` has a text for; `undefined` for any other. */
export function codeOfNoFile(error: unknown): string | undefined {
  const code = errorCode(error)
  return code !== undefined && unreadableCodes.includes(code) ? code : undefined
}

/** True for an error that says that a file, or a folder of its path, does not exist. */
export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT'
}

/** True for ESTALE: the server no longer knows the file of a handle, and nothing is known of the file. */
export function isStaleHandle(error: unknown): boolean {
  return errorCode(error) === 'ESTALE'
}
