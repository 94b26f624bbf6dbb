/** A filesystem like one over a network: each operation waits before it is carried out. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Awaitable } from '#ptq/backends/fq/awaitable.js'
import type { FileCalls, FileSystem } from '#ptq/backends/fq/file-system.js'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'
import type { CaseParameters } from '../row.js'

/** The delay of each operation, before it is carried out. */
type Wait = <T>(call: () => Awaitable<T>) => Awaitable<T>

/** The options of a queue on a slow filesystem: settings `operationMs` and `concurrency`. None without the first. */
export function fileSystemOf({ settings }: CaseParameters): { fileSystem?: FileSystem; concurrency?: number } {
  const { operationMs, concurrency } = settings
  if (typeof operationMs !== 'number' || typeof concurrency !== 'number') return {}
  return { fileSystem: slowFileSystem(operationMs), concurrency }
}

function slowFileSystem(operationMs: number): FileSystem {
  const nobody = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  const later = async <T>(call: () => Awaitable<T>): Promise<T> => {
    await sleep(operationMs)
    return await call()
  }
  return {
    blocking: slowed(nodeFileSystem.blocking, call => {
      Atomics.wait(nobody, 0, 0, operationMs)
      return call()
    }),
    pooled: slowed(nodeFileSystem.pooled, later),
    writeSynced: (...write) => later(() => nodeFileSystem.writeSynced(...write)),
    syncFolder: path => later(() => nodeFileSystem.syncFolder(path)),
  }
}

function slowed(calls: FileCalls, wait: Wait): FileCalls {
  return {
    rename: (from, to, how) => wait(() => calls.rename(from, to, how)),
    unlink: (path, likelihood) => wait(() => calls.unlink(path, likelihood)),
    read: (path, likelihood) => wait(() => calls.read(path, likelihood)),
    write: (path, text, flag) => wait(() => calls.write(path, text, flag)),
    stat: path => wait(() => calls.stat(path)),
    isLink: path => wait(() => calls.isLink(path)),
    makeFolder: path => wait(() => calls.makeFolder(path)),
    // One operation here, and one for each thousand names that are read: those of the stream are left as they are.
    openFolder: path => wait(() => calls.openFolder(path)),
    removeFolder: path => wait(() => calls.removeFolder(path)),
    clockMs: folder => wait(() => calls.clockMs(folder)),
  }
}
