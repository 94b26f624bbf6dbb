import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { TaskQueue } from 'ptq'
import { interfered } from './test-files.js'

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ptq-container-'))
  await work(folder)
  rmSync(folder, { recursive: true })
}

const task = { class: 'Contained' }

test('each verb refuses a source folder that contains a folder `queue`, and leaves it unchanged', () =>
  inFolder(async folder => {
    mkdirSync(join(folder, 'queue'))
    writeFileSync(join(folder, 'queue/index.ts'), '')
    writeFileSync(join(folder, 'main.ts'), '')
    await using tq = new TaskQueue(folder, { progress: false })
    const refusal = {
      message: `Expected a queue at ${folder}, found a folder that has only \`queue\` of all parts of one. If that is meant to be a queue, name it: ${folder}/queue`,
    }
    const verbs = [
      () => tq.insert(task),
      () => tq.lease(),
      () => tq.status(),
      () => tq.exists(),
      () => tq.purge(),
      () => tq.poll(),
    ]
    for (const verb of verbs) await assert.rejects(verb, refusal)
    assert.deepEqual(
      [readdirSync(folder).sort(), readdirSync(join(folder, 'queue'))],
      [['main.ts', 'queue'], ['index.ts']],
    )
  }))

test('a folder that contains a queue is refused, and the error names the queue', () =>
  inFolder(async folder => {
    await using inner = new TaskQueue(join(folder, 'queue'), { progress: false })
    await inner.insert(task)
    await using tq = new TaskQueue(folder, { progress: false })
    await assert.rejects(tq.insert(task), { message: new RegExp(`Name the queue in it: ${folder}/queue$`) })
    assert.deepEqual(readdirSync(folder), ['queue'])
  }))

test('a queue that another process creates while its folder is checked is accepted as a queue', () =>
  inFolder(async folder => {
    mkdirSync(join(folder, 'queue'))
    const made: string[] = []
    const fileSystem = interfered({
      pooled: async (_, path) => {
        // The last part that is checked.
        if (path !== join(folder, 'failed') || made.length > 0) return
        mkdirSync(join(folder, 'movement'))
        made.push(path)
      },
    })
    await using tq = new TaskQueue(folder, { progress: false, fileSystem })
    assert.equal(await tq.insert(task), 1)
    assert.equal(made.length, 1)
  }))

test('a queue created by hand, and one without its movement folder, are accepted as queues', () =>
  inFolder(async folder => {
    mkdirSync(join(folder, 'queue'))
    await using tq = new TaskQueue(folder, { progress: false })
    assert.equal(await tq.insert(task), 1)
    rmSync(join(folder, 'movement'), { recursive: true })
    writeFileSync(join(folder, 'README'), '')
    await using again = new TaskQueue(folder, { progress: false })
    assert.equal(await again.enqueued(), 1)
  }))
