import assert from 'node:assert/strict'
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Backend } from '#ptq/backend/backend.js'
import type { BatchFailure, Lease } from '#ptq/backend/messages.js'
import type { FileCalls, FileSystem, Place } from '#ptq/backends/fq/file-system.js'
import { isClaim, nameOf, parseName } from '#ptq/backends/fq/names.js'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'
import { LeaseLostError } from '#ptq/errors/errors.js'
import { inFolder, inQueue, openQueue } from './folder.js'
import { failure, insert, leaseNow, leaseOne, namesIn } from './messages.js'
import { interfered, settableClock, systemError, withCalls } from './test-files.js'

/**
 * A host of a network filesystem with a stale name cache: `onListed` runs after a listing, and a rename from an old
 * name to the current name of the same file succeeds and does nothing, as in Linux.
 */
function believingHost(onListed: () => Promise<void>): FileSystem {
  const { blocking } = nodeFileSystem
  const calls: FileCalls = {
    ...blocking,
    async openFolder(path) {
      const folder = await blocking.openFolder(path)
      return (
        folder && {
          async read() {
            const names = await folder.read()
            await onListed()
            return names
          },
          close: () => folder.close(),
        }
      )
    },
    rename: (from, to) => (!existsSync(from) && existsSync(to)) || blocking.rename(from, to),
  }
  return { ...nodeFileSystem, blocking: calls, pooled: calls, placeOf: async () => 'unknown' as const }
}

test('a host with a stale view of a name does not lease a task that another host has leased until the same second', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    const { options } = settableClock()
    await using first = await openQueue(root, {
      ...options,
      fileSystem: { ...options.fileSystem, placeOf: async () => 'unknown' as const },
    })
    let leased = 0
    const fileSystem = believingHost(async () => {
      leased += (await leaseNow(first.queue, 10, 60)).length
    })
    fileSystem.blocking.clockMs = options.fileSystem.blocking.clockMs
    fileSystem.pooled.clockMs = options.fileSystem.pooled.clockMs
    await using second = await openQueue(root, { ...options, fileSystem })
    await insert(first.queue, 3)
    const stolen = await leaseNow(second.queue, 10, 60)
    assert.equal(leased, 3)
    assert.deepEqual(stolen, [])
  }))

/** Opens a host that always sees current names of one folder, and one with a stale cache, both with one clock. */
async function twoHosts(root: string, onListed: () => Promise<void> = async () => undefined) {
  const { clock, options } = settableClock()
  const fileSystem = believingHost(onListed)
  fileSystem.blocking.clockMs = options.fileSystem.blocking.clockMs
  fileSystem.pooled.clockMs = options.fileSystem.pooled.clockMs
  const knowing = await openQueue(root, options)
  const believing = await openQueue(root, { ...options, fileSystem })
  return { clock, knowing, believing }
}

const holderVerbs: Record<string, (queue: Backend, lease: Lease) => Promise<readonly BatchFailure[]>> = {
  renews: (queue, lease) => queue.renew([lease], 60),
  'releases with a failure': (queue, lease) => queue.release([lease], { delaySeconds: 0, failure: failure(1) }),
  'releases with a delay': (queue, lease) => queue.release([lease], { delaySeconds: 60 }),
  releases: (queue, lease) => queue.release([lease], { delaySeconds: 0 }),
  deletes: (queue, lease) => queue.delete([lease], { tally: true }),
}

for (const [verb, change] of Object.entries(holderVerbs)) {
  test(`a late holder that ${verb} loses its lease to the next holder, also when both choose the same second`, async () => {
    // The ends that a lease of 60 seconds can have, and those beside them; with the parities of `endOfLease`.
    for (const seconds of [59, 60, 61, 62]) {
      for (const [before, lateSeconds, between] of [
        [0, 1, 0],
        [0, 2, 0],
        [1, 1, 1],
        [1, 2, 1],
      ] as const) {
        await inFolder(async folder => {
          const root = join(folder, 'queue-of-test')
          const { clock, knowing, believing } = await twoHosts(root)
          await using _knowing = knowing
          await using _believing = believing
          const attempt = async (host: typeof knowing, leaseSeconds: number) => {
            clock.seconds += 10
            return leaseOne(host.queue, leaseSeconds)
          }
          await insert(knowing.queue, 1)
          for (let attempts = 0; attempts < before; attempts++) await attempt(knowing, 1)
          const late = await attempt(believing, lateSeconds)
          for (let attempts = 0; attempts < between; attempts++) await attempt(knowing, 1)
          const holder = await attempt(knowing, seconds)
          const names = namesIn(root, 'queue')
          const [lost] = await change(believing.queue, late)
          assert.ok(lost?.error instanceof LeaseLostError, `with ${seconds}, ${lateSeconds} s and ${before} before`)
          assert.deepEqual(namesIn(root, 'queue'), names)
          assert.deepEqual(await knowing.queue.failures?.(holder), [])
          assert.deepEqual(await knowing.queue.delete([holder], { tally: true }), [])
          assert.equal((await knowing.queue.counts()).completed, 1)
        })
      }
    }
  })
}

test('leases that two hosts end at the same time are counted once', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    let ended = 0
    const end = async (queue: Backend) => {
      const count = (await queue.releaseAll?.()) ?? 0
      ended += count
    }
    const { knowing, believing } = await twoHosts(root, () => end(knowing.queue))
    await using _knowing = knowing
    await using _believing = believing
    await insert(knowing.queue, 3)
    await leaseNow(knowing.queue, 3, 60)
    await end(believing.queue)
    assert.equal(ended, 3)
    assert.equal((await knowing.queue.counts()).leased, 0)
  }))

test('tasks that two hosts move at the same time are counted once', () =>
  inFolder(async folder => {
    const [root, other] = [join(folder, 'queue-of-test'), join(folder, 'other')]
    await using there = await openQueue(other)
    const { signal } = new AbortController()
    let moved = 0
    const move = async (queue: Backend) => {
      for await (const some of queue.moveTo?.(there.queue, { signal }) ?? []) moved += some
    }
    const { knowing, believing } = await twoHosts(root, () => move(knowing.queue))
    await using _knowing = knowing
    await using _believing = believing
    await insert(knowing.queue, 3)
    await move(believing.queue)
    assert.equal(moved, 3)
    assert.deepEqual(
      namesIn(other, 'queue').map(name => name.split('--')[0]),
      ['0', '0', '0'],
    )
  }))

for (const [place, renames] of [
  ['local', { lease: 1, renews: 1, releases: 1, 'releases with a delay': 2, 'releases with a failure': 2, deletes: 0 }],
  [
    'network',
    { lease: 2, renews: 2, releases: 2, 'releases with a delay': 2, 'releases with a failure': 2, deletes: 0 },
  ],
] as const) {
  test(`each verb makes the expected renames on a ${place} disk`, async () => {
    for (const [verb, change] of Object.entries(holderVerbs)) {
      let count = 0
      const counted = async (call: keyof FileCalls, path: string) => {
        if (call === 'rename' && path.includes('/queue/')) count++
      }
      const fileSystem = {
        ...interfered({ blocking: (call, path) => void counted(call, path), pooled: counted }),
        placeOf: async () => place,
      }
      await inQueue(
        async queue => {
          await insert(queue, 1)
          const lease = await leaseOne(queue)
          assert.equal(count, renames.lease)
          count = 0
          assert.deepEqual(await change(queue, lease), [])
          assert.equal(count, renames[verb as keyof typeof renames], verb)
        },
        { fileSystem },
      )
    }
  })
}

test('a network filesystem that is mounted over the folder of an open queue is noticed', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    const { clock, options } = settableClock()
    let place: Place = 'local'
    const renamed: string[] = []
    const { blocking, pooled } = options.fileSystem
    const rename: FileCalls['rename'] = (from, to, how) => {
      if (to.includes('/queue/')) renamed.push(to.slice(to.lastIndexOf('/') + 1))
      return blocking.rename(from, to, how)
    }
    const fileSystem = {
      ...options.fileSystem,
      blocking: { ...blocking, rename },
      pooled: { ...pooled, rename },
      placeOf: async () => place,
    }
    await using opened = await openQueue(root, { ...options, fileSystem })
    await insert(opened.queue, 2)
    const claims = () => renamed.splice(0).filter(name => isClaim(parseName(name)?.available ?? 0)).length
    await leaseOne(opened.queue)
    assert.equal(claims(), 0)
    place = 'network'
    clock.seconds += 31
    await leaseOne(opened.queue)
    assert.equal(claims(), 1)
    place = 'local'
    clock.seconds += 31
    await leaseOne(opened.queue)
    assert.equal(claims(), 0)
  }))

test('a lease is one rename where only this host changes the names', () =>
  inQueue(
    async (queue, root) => {
      await insert(queue, 1)
      await leaseOne(queue)
      assert.equal(namesIn(root, 'queue').length, 1)
    },
    { fileSystem: renamesCounted(1, true) },
  ))

test('a lease is two renames on a network filesystem, the first to a name that no other host chooses', () =>
  inQueue(
    async queue => {
      await insert(queue, 1)
      await leaseOne(queue)
    },
    { fileSystem: renamesCounted(2, false) },
  ))

/** Expects so many renames of what is in `queue/`. */
function renamesCounted(expected: number, knows: boolean): FileSystem {
  const names: string[] = []
  const files = withCalls(calls => ({
    rename(from, to, how) {
      if (from.includes('/queue/')) names.push(to)
      assert.ok(names.length <= expected, names.join())
      if (names.length === 1) {
        assert.equal(isClaim(parseName(to.slice(to.lastIndexOf('/') + 1))?.available ?? 0), !knows)
      }
      return calls.rename(from, to, how)
    },
  }))
  return { ...files, placeOf: async () => (knows ? ('local' as const) : ('unknown' as const)) }
}

test('a claim whose worker died expires after it was seen for a minute, and counts no attempt', t =>
  inQueue(async (queue, root) => {
    const [message] = await insert(queue, 1)
    assert.ok(message)
    const claim = nameOf(123_456_789_012_345, message.id)
    renameSync(join(root, 'queue', nameOf(0, message.id)), join(root, 'queue', claim))
    assert.equal((await queue.counts()).leased, 1)
    const now = performance.now.bind(performance)
    let aheadMs = 0
    t.mock.method(performance, 'now', () => now() + aheadMs)
    assert.deepEqual(await leaseNow(queue), [])
    aheadMs += 59_000
    assert.deepEqual(await leaseNow(queue), [])
    assert.deepEqual(namesIn(root, 'queue'), [claim])
    aheadMs += 2_000
    // One reading sees that the claim is old, the next ends it.
    assert.deepEqual(await leaseNow(queue), [])
    const lease = await leaseOne(queue)
    assert.equal(lease.attempt, 1)
    assert.deepEqual(await queue.delete([lease], { tally: true }), [])
    for (const part of ['queue', 'movement']) assert.deepEqual(namesIn(root, part), [])
  }))

for (const place of ['local', 'unknown'] as const) {
  test(`a late holder whose host still shows the file under its name (${place}) writes no record of a task that runs alone`, () => {
    const { clock, options } = settableClock()
    return inFolder(async folder => {
      const root = join(folder, 'queue-of-test')
      const isHeld = (path: string) => path.startsWith(join(root, 'queue', '1'))
      const { blocking, pooled } = options.fileSystem
      const facts = { isFolder: false, sizeBytes: 100, modifiedMs: 0 }
      const remembering = (calls: FileCalls): FileCalls => ({
        ...calls,
        stat: (path, how) => (isHeld(path) ? facts : calls.stat(path, how)),
      })
      const fileSystem = {
        ...options.fileSystem,
        blocking: remembering(blocking),
        pooled: remembering(pooled),
        placeOf: async () => place,
      }
      await using late = await openQueue(root, { ...options, fileSystem })
      await using other = await openQueue(root, options)
      const [sent] = await insert(late.queue, 1)
      const stale = await leaseOne(late.queue, 10)
      clock.seconds += 12
      const lease = await leaseOne(other.queue, 600)
      await assert.rejects(async () => late.queue.runsAlone?.(stale), LeaseLostError)
      assert.deepEqual(namesIn(root, 'failures'), [])
      const [held = ''] = namesIn(root, 'queue')
      await other.queue.runsAlone?.(lease)
      assert.deepEqual(namesIn(root, 'failures'), [sent?.id])
      const [since = ''] = namesIn(root, 'queue')
      const [before, after] = [held, since].map(name => parseName(name)?.available ?? 0)
      assert.ok(before !== undefined && after !== undefined && after >= before && !isClaim(after), `${held}, ${since}`)
      assert.deepEqual(await other.queue.delete([lease], { tally: true }), [])
    })
  })
}

test('a held message whose text could not be replaced keeps a lease as long as before, also where renames prove nothing', () =>
  inFolder(async folder => {
    const { options } = settableClock()
    let failing = false
    const fileSystem = withCalls(
      calls => ({
        rename: (from, to, how) => {
          if (failing && from.includes('staging')) throw systemError('EIO', from)
          return calls.rename(from, to, how)
        },
      }),
      { ...options.fileSystem, placeOf: async () => 'unknown' as const },
    )
    const root = join(folder, 'queue-of-test')
    await using opened = await openQueue(root, { ...options, fileSystem })
    const { queue } = opened
    await insert(queue, 1)
    const lease = await leaseOne(queue, 600)
    const endOf = () => namesIn(root, 'queue').map(name => parseName(name)?.available)
    const [before] = endOf()
    failing = true
    await assert.rejects(queue.replace?.(lease, 'other') ?? Promise.resolve(), /EIO/)
    const [after] = endOf()
    assert.ok(before !== undefined && after !== undefined && after >= before && !isClaim(after), `${before} ${after}`)
    assert.deepEqual(await queue.renew([lease], 600), [])
  }))
