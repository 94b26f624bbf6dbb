import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { FileSystem } from '#ptq/backends/fq/file-system.js'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'
import { inQueue } from './folder.js'
import { insert, leaseNow } from './messages.js'

const { pooled } = nodeFileSystem

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

test('a call that would take longer than a part of the lease hands out what it has', () =>
  inQueue(
    async queue => {
      await insert(queue, 40)
      const leases = await leaseNow(queue, 40, 1)
      assert.ok(leases.length > 0 && leases.length < 20, `${leases.length} leases, of which each takes 100 ms`)
      assert.deepEqual(await queue.delete(leases, { tally: false }), [])
    },
    { fileSystem: slowRenames, concurrency: 1 },
  ))
