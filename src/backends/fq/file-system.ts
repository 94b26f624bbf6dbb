/**
 * The few filesystem calls that the file queue makes, as an interface: tests put a slow, faulty or crashing one in its
 * place. Every call exists twice: `blocking` for a fast local disk, where a call takes microseconds and a thread would
 * cost more than it gives, and `pooled` for a network filesystem, where many calls are in flight at once.
 *
 * An answer of `false` or `undefined` means one thing: what the call was for is not there, another process was faster.
 * Any other error is thrown as it came, with its path: ENOENT of a rename whose source is there still, or
 * ESTALE, an old handle of NFS. A call that meets an old handle is made again first: a count that another host has just
 * replaced must not read as none, and a task must not be taken for lost.
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
 * The caller's expectation of the file. A blocking call for a file that probably isn't asks first: a call that
 * fails builds an Error, which costs several times what the question does.
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
   * Replaces an existing `to`. `false`: there is no `from`, which has been looked for where the error alone doesn't tell.
   * Throws ENOENT where `from` is there and the folder of `to` isn't; ESTALE where nothing is known. Of a `hint` ESTALE is
   * `false` too: the caller has other names to try.
   */
  rename(from: string, to: string, how?: 'hint'): Awaitable<boolean>
  /** `false`: there is no such file. Throws ESTALE where nothing is known. */
  unlink(path: string, likelihood: Likelihood): Awaitable<boolean>
  /** The whole file as UTF-8; `undefined`: there is none. */
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

/** A disk of this machine, one of another machine, or one that can't be told from it. */
export type Place = 'local' | 'network' | 'unknown'

export interface FileSystem {
  readonly blocking: FileCalls
  readonly pooled: FileCalls
  /**
   * The place of the files in `folder`. On a local disk this host always knows what names stand for. Elsewhere it may keep for
   * a while a name that another host has changed, and then a rename onto what is the same file by now "succeeds" and does
   * nothing: Linux asks the server only where the two names are different files (`vfs_rename`). Default: on a local disk.
   */
  placeOf?(folder: string): Promise<Place>
  /**
   * The same text for two paths of one folder, and for no other's; also of a folder that is still to be made. Default: two paths
   * are two folders.
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
 * For what stands in a task's place and can't be a task: a text that says so, and is no task either. Every other error is
 * thrown again.
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

/** True for an error that says that a file, or a folder on the way to it, is not there. */
export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT'
}

/** True for ESTALE: the server no longer knows what a path stood for, and nothing is known of the file. */
export function isStaleHandle(error: unknown): boolean {
  return errorCode(error) === 'ESTALE'
}
