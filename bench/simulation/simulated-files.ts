/** The filesystem of one simulated worker: the same folders for all, through the worker's own few threads. */
import type { FileCalls, FileSystem, FolderStream } from '#ptq/backends/fq/file-system.js'
import { fault, type MemoryFolders, textOf } from './memory-folders.js'
import type { CallKind, MetadataServer, Purpose } from './metadata-server.js'
import { at, filesystemMs } from './virtual-time.js'

/**
 * Requests to the server of each call, one after the other. A file's `open`, its `read` or `write`, and the `close` after a
 * write, which waits until what was written is at the server, are one each; `fstat` and the `close` after a read are answered
 * by the client. A clock reading makes and removes a file.
 */
const REQUESTS = { rename: 1, unlink: 1, read: 2, write: 3, stat: 1, list: 1, clock: 2, folder: 1 } as const

function purposeOf(path: string): Purpose {
  return path.includes('/workers') || path.includes('/staging/worker-') ? 'status' : 'tasks'
}

export function simulatedFiles(folders: MemoryFolders, server: MetadataServer, threads: number): FileSystem {
  let free = threads
  const waiting: (() => void)[] = []

  function call<T>(kind: CallKind, path: string, apply: () => T, requests: number = REQUESTS[kind]): Promise<T> {
    return new Promise((resolve, reject) => {
      const start = () => {
        free--
        at(server.answeredMs(kind, requests, purposeOf(path)), () => {
          try {
            resolve(apply())
          } catch (error) {
            reject(error)
          }
          free++
          waiting.shift()?.()
        })
      }
      if (free > 0) start()
      else waiting.push(start)
    })
  }

  const rename = (from: string, to: string): boolean => {
    const done = folders.rename(from, to)
    if (from.includes('/queue/')) {
      server.renames++
      if (!done) server.lostRenames++
    }
    return done
  }

  const calls: FileCalls = {
    rename: (from, to) => call('rename', from, () => rename(from, to)),
    unlink: path => call('unlink', path, () => folders.unlink(path)),
    read(path) {
      const requests = folders.file(path) === undefined ? 1 : REQUESTS.read
      const text = () => {
        const file = folders.file(path)
        return file && textOf(file, path)
      }
      return call('read', path, text, requests)
    },
    write: (path, text, flag) => call('write', path, () => folders.write(path, text, flag)),
    stat(path) {
      const facts = () => {
        if (folders.folder(path) !== undefined) return { isFolder: true, sizeBytes: 0, modifiedMs: filesystemMs() }
        const file = folders.file(path)
        return file && { isFolder: false, sizeBytes: textOf(file, path).length, modifiedMs: file.modifiedMs }
      }
      return call('stat', path, facts)
    },
    isLink: path => call('stat', path, () => (folders.has(path) ? false : undefined)),
    makeFolder: path => call('folder', path, () => folders.makeFolder(path)),
    openFolder: path => call('list', path, () => openFolder(path)),
    removeFolder: path => call('folder', path, () => folders.removeFolder(path)),
    clockMs: path => call('clock', path, () => (folders.folder(path) === undefined ? undefined : filesystemMs())),
  }

  function openFolder(path: string): FolderStream | undefined {
    const folder = folders.folder(path)
    if (folder === undefined) return undefined
    let from = 0
    return {
      read: () =>
        call('list', path, () => {
          const { names, next } = folder.names(from)
          from = next
          server.namesListed += names.length
          return names
        }),
      // The client has no state that the server would need.
      close: () => undefined,
    }
  }

  return {
    // The library's blocking calls are sequences of single ones: so are these, and other workers get in between.
    blocking: calls,
    pooled: calls,
    placeOf: async () => 'unknown' as const,
    writeSynced: path => Promise.reject(fault('ENOTSUP', path)),
    syncFolder: path => Promise.reject(fault('ENOTSUP', path)),
  }
}
