import assert from 'node:assert/strict'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { InsertError, TaskQueue } from 'ptq'
import { inFolder } from '../fq/folder.js'
import { interfered } from '../fq/test-files.js'
import { Numbers } from './sequences.js'

// Batches of 250 tasks, of which four are stored at a time.
const TOTAL = 2_000
const AT_ONCE = 4

test('a bulk insert reuses the folders of its parts, and leaves none after completion', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    let made = 0
    const fileSystem = interfered({
      either: (call, path) => {
        if (call === 'makeFolder' && path.includes('/writing.')) made++
      },
    })
    await using tq = new TaskQueue(root, { progress: false, fileSystem })
    assert.equal(await tq.insert(new Numbers(0, TOTAL), { resume: 'job' }), TOTAL)
    assert.ok(made >= 1 && made <= AT_ONCE, `${made} folders`)
    const [run = ''] = readdirSync(join(root, 'uploads', 'job'))
    assert.deepEqual(readdirSync(join(root, 'uploads', 'job', run)).sort(), ['counted', 'finished', 'upload.json'])
  }))

test('an insert of an earlier version, with a folder for each completed part, is resumed', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    let writes = 0
    const fileSystem = interfered({
      either: (call, path) => {
        if (call === 'write' && path.includes('/writing.') && ++writes > 600) throw new Error('the disk is full')
      },
    })
    await using dying = new TaskQueue(root, { progress: false, fileSystem })
    await assert.rejects(dying.insert(new Numbers(0, 1_000), { resume: 'job' }), InsertError)
    const [before = ''] = readdirSync(join(root, 'uploads', 'job'))
    mkdirSync(join(root, 'uploads', 'job', before, 'done.500-1000'))
    await using tq = new TaskQueue(root, { progress: false })
    const missing = 500 - (await tq.enqueued())
    assert.equal(await tq.insert(new Numbers(0, 1_000), { resume: 'job' }), Math.max(0, missing))
    const [run = ''] = readdirSync(join(root, 'uploads', 'job'))
    assert.deepEqual(readdirSync(join(root, 'uploads', 'job', run)).sort(), ['counted', 'finished', 'upload.json'])
  }))
