import assert from 'node:assert/strict'
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FileCalls, FileSystem } from '#ptq/backends/fq/file-system.js'
import { isClaim, nameOf, parseName } from '#ptq/backends/fq/names.js'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'
import { inFolder, inQueue, openQueue } from './folder.js'
import { insert, leaseNow, leaseOne, namesIn } from './messages.js'
import { settableClock } from './test-files.js'

/**
 * A host of a network filesystem that believes in names which others have changed: `onListed` happens after a listing, and
 * a rename from a name that is gone onto the name that the same file has by now succeeds and does nothing, as in Linux.
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

test('a host that believes in a name which another has leased until the same second does not lease the task too', () =>
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

test('where this host knows the names, a lease is one rename', () =>
  inQueue(
    async (queue, root) => {
      await insert(queue, 1)
      await leaseOne(queue)
      assert.equal(namesIn(root, 'queue').length, 1)
    },
    { fileSystem: renamesCounted(1, true) },
  ))

test('where it does not, two: the first to a name that nobody else chooses', () =>
  inQueue(
    async queue => {
      await insert(queue, 1)
      await leaseOne(queue)
    },
    { fileSystem: renamesCounted(2, false) },
  ))

/** Expects so many renames of what is in `queue/`. */
function renamesCounted(expected: number, knows: boolean): FileSystem {
  const { blocking } = nodeFileSystem
  const names: string[] = []
  const rename = (from: string, to: string) => {
    if (from.includes('/queue/')) names.push(to)
    assert.ok(names.length <= expected, names.join())
    if (names.length === 1) assert.equal(isClaim(parseName(to.slice(to.lastIndexOf('/') + 1))?.available ?? 0), !knows)
    return blocking.rename(from, to)
  }
  return {
    ...nodeFileSystem,
    blocking: { ...blocking, rename },
    placeOf: async () => (knows ? ('local' as const) : ('unknown' as const)),
  }
}

test('a claim whose worker died ends when it has been seen for a minute, and counts no attempt: nothing had begun', t =>
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
    // One look sees that it is old, the next ends it.
    assert.deepEqual(await leaseNow(queue), [])
    const lease = await leaseOne(queue)
    assert.equal(lease.attempt, 1)
    assert.deepEqual(await queue.delete([lease], { tally: true }), [])
    for (const part of ['queue', 'movement']) assert.deepEqual(namesIn(root, part), [])
  }))
