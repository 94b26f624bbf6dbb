import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { FileSystem } from '#ptq/backends/fq/file-system.js'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'
import { inFolder, inQueue, openQueue } from './folder.js'
import { insert, leaseNow } from './messages.js'

const { pooled } = nodeFileSystem

const ROUNDS = 6

/** A network filesystem on which a rename takes a twentieth of a second. */
const slowRenames: FileSystem = {
  ...nodeFileSystem,
  placeOf: async () => 'network',
  pooled: {
    ...pooled,
    rename: async (from, to) => {
      await pause(50)
      return pooled.rename(from, to)
    },
  },
}

test('a lease call that would take longer than a share of the lease returns the leases that it has', () =>
  inQueue(
    async queue => {
      await insert(queue, 40)
      const leases = await leaseNow(queue, 40, 1)
      assert.ok(leases.length > 0 && leases.length < 20, `${leases.length} leases, of which each takes 100 ms`)
      assert.deepEqual(await queue.delete(leases, { tally: false }), [])
    },
    { fileSystem: slowRenames, concurrency: 1 },
  ))

test('names are tried one at a time in a range that another worker drains, and more at once when they exist', () => {
  let lost = 0
  // Another worker has leased the names that begin with 8 to f, and this listing still shows them.
  const halfGone: FileSystem = {
    ...nodeFileSystem,
    placeOf: async () => 'network',
    pooled: {
      ...pooled,
      rename: async (from, to) => {
        if (!/\/0--[89a-f]/.test(from)) return pooled.rename(from, to)
        lost++
        // All that are tried at once are on their way before one is answered.
        await pause(1)
        return false
      },
    },
  }
  return inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using inserter = await openQueue(root)
    const there = (await insert(inserter.queue, 400)).filter(({ id }) => /^[0-7]/.test(id)).length
    let lostAtFirst = 0
    // Each process begins at a random point, so several times.
    for (let round = 0; round < ROUNDS; round++) {
      await using opened = await openQueue(root, { fileSystem: halfGone, concurrency: 40 })
      const { queue } = opened
      lost = 0
      const leases = await leaseNow(queue, there)
      lostAtFirst += lost
      // A skip may go too far; a later reading finds what it skipped.
      while (leases.length < there) leases.push(...(await leaseNow(queue, there - leases.length)))
      assert.deepEqual(await queue.release(leases, { delaySeconds: 0 }), [])
    }
    // In each round up to forty are lost at once; then skips of 1, 2, 4, ... names cross the half that is gone, at most twice.
    // Otherwise most of the two hundred are lost.
    assert.ok(lostAtFirst < ROUNDS * 80, `${lostAtFirst} renames lost`)
  })
})
