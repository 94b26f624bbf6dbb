// Calls that wait for other processes, or read a very long folder, end when their signal aborts.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { InsertError, TaskQueue } from 'ptq'
import { allNames } from '#ptq/backends/fq/folders.js'
import { nameOf } from '#ptq/backends/fq/names.js'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'
import { Numbers } from '../bulk-insert/sequences.js'
import { inFolder, openQueue } from './folder.js'
import { insert } from './messages.js'
import { withCalls } from './test-files.js'

test('an aborted lease call ends in a folder whose names keep disappearing', { timeout: 60_000 }, () =>
  inFolder(async folder => {
    const aborting = new AbortController()
    let reads = 0
    const fileSystem = withCalls(calls => ({
      openFolder(path) {
        if (!path.endsWith('/queue')) return calls.openFolder(path)
        const read = () => {
          if (++reads === 200) aborting.abort()
          return Array.from({ length: 1_024 }, () => nameOf(0, randomUUID()))
        }
        return { read, close: () => undefined }
      },
    }))
    await using opened = await openQueue(join(folder, 'queue-of-test'), { fileSystem })
    await opened.queue.insert([], { delaySeconds: 0 })
    await using tq = new TaskQueue(join(folder, 'queue-of-test'), { progress: false })
    await tq.insert(new Numbers(0, 1))
    const { signal } = aborting
    assert.deepEqual(await opened.queue.lease({ seconds: 60, max: 1, waitSeconds: 1_000, signal }), [])
    assert.ok(reads < 1_000, `${reads} reads`)
  }),
)

test('a lease call that reads a folder of leased tasks without end is ended by its abort', { timeout: 60_000 }, () =>
  inFolder(async folder => {
    const aborting = new AbortController()
    let reads = 0
    const fileSystem = withCalls(calls => ({
      openFolder(path) {
        if (!path.endsWith('/queue')) return calls.openFolder(path)
        const read = () => {
          if (++reads === 200) aborting.abort()
          return Array.from({ length: 1_024 }, () => nameOf(4_000_000_000, randomUUID()))
        }
        return { read, close: () => undefined }
      },
    }))
    await using opened = await openQueue(join(folder, 'queue-of-test'), { fileSystem })
    await insert(opened.queue, 1)
    const { signal } = aborting
    assert.deepEqual(await opened.queue.lease({ seconds: 60, max: 1, waitSeconds: 0, signal }), [])
    assert.equal(reads, 200)
  }),
)

test('reading all names of a long folder leaves the event loop its turns', async () => {
  const slice = Array.from({ length: 1_024 }, () => nameOf(0, randomUUID()))
  let reads = 0
  const stream = { read: () => (++reads <= 10_000 ? slice : []), close: () => undefined }
  const calls = { ...nodeFileSystem.blocking, openFolder: () => stream }
  let turns = 0
  const counting = setInterval(() => turns++, 0)
  assert.equal((await allNames({ io: { calls } }, '/a/folder')).length, 10_240_000)
  clearInterval(counting)
  assert.ok(turns > 1, `${turns} turns`)
})

test(
  'closing the queue ends an insert that waits to take over its upload with an InsertError',
  { timeout: 60_000 },
  () =>
    inFolder(async folder => {
      const root = join(folder, 'queue-of-test')
      await using tq = new TaskQueue(root, { progress: false })
      await tq.insert(new Numbers(0, 5), { resume: 'other' })
      const isRun = (path: string) => /uploads.job$/.test(path)
      let tries = 0
      // As if another process had always just made the folder, and taken it away again.
      const fileSystem = withCalls(calls => ({
        rename(from, to, how) {
          if (!isRun(to)) return calls.rename(from, to, how)
          if (++tries === 3) void waiting.close()
          throw Object.assign(new Error('ENOTEMPTY'), { code: 'ENOTEMPTY' })
        },
      }))
      await using waiting = new TaskQueue(root, { progress: false, fileSystem })
      await assert.rejects(waiting.insert(new Numbers(0, 5), { resume: 'job' }), (error: unknown) => {
        assert.ok(error instanceof InsertError, String(error))
        assert.deepEqual([error.inserted, error.failed, error.notTried], [0, 0, 5])
        assert.match(error.message, /closed/)
        return true
      })
    }),
)

test('lease calls that wait with the same signal add one listener', () =>
  inFolder(async folder => {
    await using tq = new TaskQueue(join(folder, 'queue-of-test'), { progress: false })
    await tq.insert(new Numbers(0, 1))
    await tq.purge()
    await using opened = await openQueue(join(folder, 'queue-of-test'))
    const aborting = new AbortController()
    const { signal } = aborting
    let listeners = 0
    let most = 0
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      most = Math.max(most, ++listeners)
      add(...args)
      if (most === 1) setImmediate(() => setImmediate(() => aborting.abort()))
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--
      remove(...args)
    }
    const calls = [1, 2, 3, 4].map(() => opened.queue.lease({ seconds: 60, max: 1, waitSeconds: 1_000, signal }))
    assert.deepEqual((await Promise.all(calls)).flat(), [])
    assert.equal(most, 1)
  }))
