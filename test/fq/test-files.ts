import { constants } from 'node:os'
import { getSystemErrorName } from 'node:util'
import type { FileCalls, FileSystem } from '#ptq/backends/fq/file-system.js'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'

/** Hooks between the queue and the real filesystem: called before each call, they may throw or delay. */
export interface Interference {
  /** Before each call of either kind: which of them the queue makes depends on how fast the machine is. */
  either?: (call: keyof FileCalls, path: string, to: string) => void
  /** Before blocking calls alone: a test that gives only this one has to know that the queue makes no others. */
  blocking?: (call: keyof FileCalls, path: string, to: string) => void
  pooled?: (call: keyof FileCalls, path: string, to: string) => Promise<void>
  /** Replaces the filesystem's own clock. */
  clockMs?: () => number
}

// `durable` makes each call a pooled one. What reaches the disk is tested elsewhere: an fsync takes 20 ms on a slow one.
const withoutDisk = {
  writeSynced: async (path, text, flag) => nodeFileSystem.pooled.write(path, text, flag),
  syncFolder: async () => undefined,
} satisfies Partial<FileSystem>

function interfered({ either, blocking: block, pooled: pool, clockMs }: Interference): FileSystem {
  const { blocking, pooled } = nodeFileSystem
  const wrap = (
    calls: FileCalls,
    before: (call: keyof FileCalls, path: string, to: string) => void | Promise<void>,
  ) => {
    const around = <A extends [string, ...unknown[]], R>(name: keyof FileCalls, call: (...args: A) => R) => {
      return (...args: A): R => {
        const ready = before(name, args[0], typeof args[1] === 'string' ? args[1] : '')
        // R is a promise if `before` returns one: both belong to pooled calls.
        return ready instanceof Promise ? (ready.then(() => call(...args)) as R) : call(...args)
      }
    }
    return {
      rename: around('rename', calls.rename),
      unlink: around('unlink', calls.unlink),
      read: around('read', calls.read),
      write: around('write', calls.write),
      stat: around('stat', calls.stat),
      isLink: around('isLink', calls.isLink),
      makeFolder: around('makeFolder', calls.makeFolder),
      openFolder: around('openFolder', calls.openFolder),
      removeFolder: around('removeFolder', calls.removeFolder),
      clockMs: around('clockMs', clockMs ?? calls.clockMs),
    } satisfies FileCalls
  }
  return {
    ...nodeFileSystem,
    ...withoutDisk,
    blocking: wrap(blocking, (...call) => {
      either?.(...call)
      block?.(...call)
    }),
    pooled: wrap(pooled, async (...call) => {
      either?.(...call)
      await pool?.(...call)
    }),
  }
}

export { interfered }

/**
 * A filesystem with some calls replaced, those of either kind: which of them the queue makes depends on how fast the machine is.
 */
export function withCalls(
  change: (calls: FileCalls) => Partial<FileCalls>,
  files: FileSystem = nodeFileSystem,
): FileSystem {
  const { blocking, pooled } = files
  return { ...files, blocking: { ...blocking, ...change(blocking) }, pooled: { ...pooled, ...change(pooled) } }
}

/** The code that Node gives an error: some have only a number, `Unknown system error -116` for ESTALE. */
export function nodeCode(name: string): string {
  const number = new Map(Object.entries(constants.errno)).get(name)
  return number === undefined ? name : getSystemErrorName(-number)
}

/** An error of the filesystem, as Node throws it. */
export function systemError(name: string, path: string): Error {
  const code = nodeCode(name)
  return Object.assign(new Error(`${code}: made by the test, open '${path}'`), { code, path })
}

/** A filesystem whose clock is set by the test. `options` go to `open`. */
export function settableClock(startSeconds = 1_800_000_000) {
  const clock = { seconds: startSeconds }
  // The jump of the host's clock makes the queue read the filesystem's clock again.
  const hostNowMs = () => clock.seconds * 1000
  return { clock, options: { fileSystem: interfered({ clockMs: hostNowMs }), hostNowMs } }
}
