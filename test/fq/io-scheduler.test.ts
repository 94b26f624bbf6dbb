import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'
import { fastDisk, inFolder, inQueue, openQueue } from './folder.js'
import { insert, leaseNow, messages, namesIn } from './messages.js'
import { type Interference, interfered, settableClock } from './test-files.js'

/** A filesystem with two milliseconds a call, as over a network; counts calls in flight and blocking calls. */
function slowFileSystem() {
  const seen = { inFlight: 0, most: 0, blocking: 0 }
  const interference: Interference = {
    blocking() {
      seen.blocking++
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
    },
    async pooled() {
      seen.inFlight++
      seen.most = Math.max(seen.most, seen.inFlight)
      await delay(2)
      seen.inFlight--
    },
  }
  return { seen, fileSystem: interfered(interference) }
}

test('a slow filesystem gets up to `concurrency` calls in flight, and no blocking call', async () => {
  const { seen, fileSystem } = slowFileSystem()
  await inQueue(
    async (queue, root) => {
      // The first insert measures the filesystem.
      await insert(queue, 1)
      seen.blocking = 0
      await insert(queue, 300)
      assert.ok(seen.most >= 20 && seen.most <= 25, `${seen.most} calls in flight`)
      seen.most = 0
      const [some, others] = await Promise.all([leaseNow(queue, 150), leaseNow(queue, 150)])
      const leases = [...some, ...others]
      assert.equal(new Set(leases.map(({ id }) => id)).size, 300)
      assert.deepEqual(await queue.delete(leases, { tally: true }), [])
      assert.ok(seen.most >= 20 && seen.most <= 25, `${seen.most} calls in flight`)
      assert.equal(seen.blocking, 0)
      assert.equal(namesIn(root, 'queue').length, 1)
    },
    { fileSystem, concurrency: 25 },
  )
})

// From the first test on: the warning is given once per process.
const said: string[] = []
process.on('warning', (warning: Error & { code?: string }) => {
  if (warning.code === 'PTQ_SLOW_FILESYSTEM') said.push(warning.message)
})

test('a slow filesystem gives one warning if the libuv pool has few threads', async () => {
  for (let queue = 0; queue < 2; queue++) {
    // More threads than any machine sets.
    await inQueue(async opened => void (await insert(opened, 1)), { ...slowFileSystem(), concurrency: 5000 })
  }
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(said.length, 1)
  assert.match(said[0] ?? '', /UV_THREADPOOL_SIZE=\d+ in the environment/)
})

test('blocking work lets the event loop run between slices', () =>
  inFolder(async folder => {
    await using opened = await openQueue(join(folder, 'queue-of-test'))
    const { queue } = opened
    let turns = 0
    let going = true
    const turn = () => {
      turns++
      if (going) setImmediate(turn)
    }
    setImmediate(turn)
    // Enough calls for several slices even where a call takes 2 µs.
    await insert(queue, 10_000)
    const inserting = turns
    await queue.delete(await leaseNow(queue, 10_000), { tally: true })
    going = false
    assert.ok(inserting >= 5, `${inserting} turns`)
    assert.ok(turns - inserting >= 5, `${turns - inserting} turns`)
  }, fastDisk))

test('one reading of the folder serves thousands of leases of many concurrent calls', async () => {
  let readings = 0
  const interference: Interference = {
    either(call, path) {
      if (call === 'openFolder' && path.endsWith('/queue')) readings++
    },
  }
  await inQueue(
    async queue => {
      await insert(queue, 3000)
      const ids = new Set<string>()
      for (let round = 0; round < 20; round++) {
        const batches = await Promise.all(Array.from({ length: 50 }, () => leaseNow(queue, 3)))
        for (const { id } of batches.flat()) ids.add(id)
      }
      assert.equal(ids.size, 3000)
      assert.equal(readings, 1)
      assert.deepEqual(await leaseNow(queue), [])
      assert.equal(readings, 2)
    },
    { fileSystem: interfered(interference) },
  )
})

test('an outdated list costs few failed renames', async () => {
  const { options } = settableClock()
  let renames = 0
  const counting: Interference = {
    either(call) {
      if (call === 'rename') renames++
    },
  }
  await inQueue(async (queue, root) => {
    await insert(queue, 4000)
    await using late = await openQueue(root, { fileSystem: interfered(counting) })
    assert.equal((await leaseNow(late.queue, 1)).length, 1)
    assert.equal((await leaseNow(queue, 3000)).length, 3000)
    renames = 0
    assert.equal((await leaseNow(late.queue, 999)).length, 999)
    assert.ok(renames < 999 * 1.1 + 50, `${renames} renames for 999 leases`)
  }, options)
})

test('a waiting lease call ends with an insert, an abort or close, and leaves no timer', () =>
  inFolder(async folder => {
    const timers = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
    const before = timers()
    await using opened = await openQueue(join(folder, 'queue-of-test'))
    const { queue } = opened
    await insert(queue, 0)
    const first = await insert(queue, 1)
    assert.equal((await leaseNow(queue)).length, 1)

    const waiting = queue.lease({ seconds: 60, max: 5, waitSeconds: 600 })
    const second = await insert(queue, 1)
    assert.deepEqual(
      (await waiting).map(({ id }) => id),
      second.map(({ id }) => id),
    )
    assert.notEqual(first[0]?.id, second[0]?.id)

    const leaving = new AbortController()
    const aborted = queue.lease({ seconds: 60, max: 5, waitSeconds: 600, signal: leaving.signal })
    leaving.abort()
    assert.deepEqual(await aborted, [])
    assert.deepEqual(await queue.lease({ seconds: 60, max: 5, waitSeconds: 600, signal: leaving.signal }), [])

    const closed = queue.lease({ seconds: 60, max: 5, waitSeconds: 600 })
    await queue.close()
    assert.deepEqual(await closed, [])
    assert.equal(timers(), before)
  }))

test('durable: each file is synced before its rename, and each folder once per batch', async () => {
  const synced: string[] = []
  const fileSystem = {
    ...nodeFileSystem,
    writeSynced: async (path: string, text: string, flag: 'w' | 'a' | 'wx') => {
      synced.push(path.includes('/staging/') ? 'staging' : path)
      await nodeFileSystem.writeSynced(path, text, flag)
    },
    syncFolder: async (path: string) => {
      assert.ok(existsSync(path))
      synced.push(path)
      await nodeFileSystem.syncFolder(path)
    },
  }
  await inQueue(
    async (queue, root) => {
      await queue.insert([], { delaySeconds: 0 })
      await queue.insert(messages(root, 50), { delaySeconds: 0 })
      assert.deepEqual(synced, [dirname(root), root, ...Array(50).fill('staging'), join(root, 'queue')])
      synced.length = 0
      await queue.addInserted?.(50)
      assert.deepEqual(synced, ['staging', root])
      synced.length = 0
      const leases = await leaseNow(queue, 50)
      assert.deepEqual(await queue.delete(leases, { tally: true }), [])
      assert.deepEqual(synced, [join(root, 'queue'), join(root, 'completions')])
      const { inserted, completed, enqueued } = await queue.counts()
      assert.deepEqual({ inserted, completed, enqueued }, { inserted: 50, completed: 50, enqueued: 0 })
    },
    { fileSystem, durable: true },
  )
})

/** Node's filesystem, and the folders that were synced by it. */
function recordingSyncs() {
  const synced: string[] = []
  const fileSystem = {
    ...nodeFileSystem,
    syncFolder: async (path: string) => {
      synced.push(path)
      await nodeFileSystem.syncFolder(path)
    },
  }
  return { fileSystem, synced }
}

test('durable: the first insert syncs each folder that it created for the queue, and the parent of the topmost one', async () => {
  const { fileSystem, synced } = recordingSyncs()
  await inFolder(async folder => {
    const root = join(folder, 'a', 'b', 'queue-of-test')
    await using opened = await openQueue(root, { fileSystem, durable: true })
    await opened.queue.insert(messages(root, 1), { delaySeconds: 0 })
    const above = [folder, join(folder, 'a'), join(folder, 'a', 'b'), root]
    assert.deepEqual(synced, [...above, join(root, 'queue')])
  })
})

test('durable: the first outcome of a run syncs each folder that it created', async () => {
  const { fileSystem, synced } = recordingSyncs()
  await inQueue(
    async (queue, root) => {
      await insert(queue, 1)
      synced.length = 0
      await queue.results?.append('run', 'writer', ['{}'])
      await queue.results?.append('run', 'writer', ['{}'])
      assert.deepEqual(synced, [root, join(root, 'results'), join(root, 'results', 'run')])
    },
    { fileSystem, durable: true },
  )
})
