// Matters for workers that end after a few tasks: a folder returns its names in the same order each time.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Candidates } from '#ptq/backends/fq/candidates.js'
import type { FileCalls } from '#ptq/backends/fq/file-system.js'
import { IoScheduler } from '#ptq/backends/fq/io-scheduler.js'
import { layoutOf } from '#ptq/backends/fq/layout.js'
import { nameOf } from '#ptq/backends/fq/names.js'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'
import { fastDisk, inFolder, openQueue } from './folder.js'
import { insert, leaseNow, namesIn } from './messages.js'

const QUARTER = 4_096
const PROCESSES = 300

test('processes that start one after another take their first tasks from all parts of a long folder', async () => {
  const names = Array.from({ length: 4 * QUARTER }, () => nameOf(0, randomUUID()))
  const quarterOf = new Map(names.map((name, index) => [name, Math.floor(index / QUARTER)]))
  let given = 0
  const blocking: FileCalls = {
    ...nodeFileSystem.blocking,
    openFolder() {
      const left = [...names]
      const read = () => {
        const slice = left.splice(0, 1_024)
        given += slice.length
        return slice
      }
      return { read, close: () => undefined }
    },
    // There is no listing, and no other reader.
    stat: () => undefined,
    write: () => undefined,
    unlink: () => true,
    rename: () => true,
  }
  const first = [0, 0, 0, 0]
  for (let process = 0; process < PROCESSES; process++) {
    const io = new IoScheduler({ ...nodeFileSystem, blocking }, { concurrency: 1, durable: false, label: 'in memory' })
    const candidates = new Candidates(
      io,
      layoutOf('/queue-of-test'),
      () => Date.now() / 1000,
      () => undefined,
    )
    assert.equal(await candidates.fill(), true)
    const quarter = quarterOf.get(candidates.take()?.name ?? '')
    assert.ok(quarter !== undefined)
    first[quarter] = (first[quarter] ?? 0) + 1
    await candidates.close()
  }
  // One process in eight starts in the last quarter: that none of 300 does has a probability of 10^-17.
  assert.ok(
    first.every(count => count > 0),
    `first tasks by quarters: ${first}`,
  )
  assert.ok(given < PROCESSES * names.length, `${given} names read`)
})

test('a first reading beyond a short list is published for other workers, and leaves no file in staging', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using inserter = await openQueue(root)
    await insert(inserter.queue, 3 * QUARTER)
    const listing = join(root, 'listing')
    // At three of ten it is a short list.
    for (let start = 0; start < 100 && !existsSync(listing); start++) {
      await using worker = await openQueue(root)
      assert.equal((await leaseNow(worker.queue)).length, 1)
    }
    assert.ok(readFileSync(listing, 'utf8').split('\n').length >= 2 * QUARTER)
    assert.deepEqual(namesIn(root, 'staging'), [])
    rmSync(listing)
  }, fastDisk))
