import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { fastDisk, inFolder, openQueue } from './folder.js'
import { countingNames, drain } from './listings.js'
import { insert, namesIn } from './messages.js'

test('one of eight workers reads the folder for all, and each task is leased once', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using inserter = await openQueue(root)
    const inserted = (await insert(inserter.queue, 40_000)).map(({ id }) => id)
    const { counted, fileSystem } = countingNames()
    const workers = await Promise.all(Array.from({ length: 8 }, () => openQueue(root, { fileSystem })))
    const drained = await Promise.all(workers.map(({ queue }) => drain(queue)))
    await Promise.all(workers.map(({ queue }) => queue.close()))
    assert.deepEqual(drained.flat().sort(), inserted.sort())
    // Eight for each task without sharing: each worker would read each name.
    assert.ok(counted.names < 4 * inserted.length, `${counted.names} names read for ${inserted.length} tasks`)
    assert.deepEqual(namesIn(root, 'staging'), [])
  }, fastDisk))
