import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { type Backend, InsertError, type Message, partial, TaskQueue } from 'ptq'
import { JournalFiles } from '#ptq/bulk-insert/journal-files.js'
import { inFolder } from '../fq/folder.js'
import { ACCESS, drain, openQueue } from '../sqs/queue.js'
import { startServer } from '../sqs/server.js'
import { FaultyNumbers, Numbers, numbered } from './sequences.js'
import { eventsOf } from './spy-backend.js'

const state = mkdtempSync(join(tmpdir(), 'ptq-state-'))
process.env.XDG_STATE_HOME = state
after(() => rmSync(state, { recursive: true }))

const upTo = (end: number, start = 0) => Array.from({ length: end - start }, (_, i) => start + i)
const head = { seed: '0'.repeat(32), sequence: 'Numbers', total: 100 }
const messages = (count: number): Message[] => upTo(count).map(i => ({ id: `id${i}`, body: '' }))

/** As much of a backend as journals in files need. */
function backend(identity: string, refuse: readonly number[] = []): Backend {
  const insert = async () => refuse.map(index => ({ index, error: new Error('refused') }))
  return { label: 'test', identity, insert } as Partial<Backend> as Backend
}

describe('a journal in a file', () => {
  it('keeps acknowledged slices for any process that resumes the insert', async () => {
    const journal = new JournalFiles(backend('a', [3, 4]))
    const first = await journal.begin('x', head)
    assert.deepEqual({ ...first, run: '' }, { run: '', head, stored: [], counted: 0, finished: false })
    assert.equal((await journal.insert(first.run, 10, messages(10), { delaySeconds: 0 })).length, 2)
    await journal.counted(first.run, 8)
    // As left by a process that died in the middle of a line.
    appendFileSync(first.run, '{"stored":[50,6')
    const second = await new JournalFiles(backend('a')).begin('x', { ...head, seed: 'f'.repeat(32) })
    assert.deepEqual(second.head, head, 'the seed is that of the beginning')
    assert.deepEqual(
      [second.stored, second.counted],
      [
        [
          { start: 10, end: 13 },
          { start: 15, end: 20 },
        ],
        8,
      ],
    )
    await journal.insert(second.run, 60, messages(2), { delaySeconds: 0 })
    assert.deepEqual(await journal.settle(second.run, { start: 18, end: 61 }), [
      { start: 15, end: 20 },
      ...(await journal.settle(second.run, { start: 60, end: 61 })),
    ])
    // The earlier owner thought that it was alone.
    await assert.rejects(
      journal.insert(first.run, 0, messages(1), { delaySeconds: 0 }),
      /another process took this upload up/,
    )
    await journal.finish(second.run)
    assert.equal((await journal.begin('x', head)).finished, true)
  })

  it('exists once for each queue, name and sequence', async () => {
    const journal = new JournalFiles(backend('b'))
    await journal.finish((await journal.begin('x', head)).run)
    for (const other of [
      { ...head, total: 99 },
      { ...head, sequence: 'Others' },
    ]) {
      await assert.rejects(
        journal.begin('x', other),
        /Expected upload `x` to go on with the sequence that it began with/,
      )
    }
    assert.equal((await journal.begin('y', head)).finished, false)
    assert.equal((await new JournalFiles(backend('c')).begin('x', head)).finished, false)
    await assert.rejects(journal.begin(undefined, head), /Expected a name/)
  })

  it('resumes an insert into a queue that stores no journals, until the queue is purged', () =>
    inFolder(async folder => {
      const file = join(folder, 'events')
      await using tq = new TaskQueue(`spy://${file}`, { progress: false })
      const tasks = new FaultyNumbers(320, { throwsAt: 105, repairedBy: join(folder, 'repaired') })
      const inserts = () => eventsOf(file).flatMap(event => (event.event === 'insert' ? [event] : []))
      await assert.rejects(tq.insert(tasks, { parallel: 2, resume: 'x' }), InsertError)
      assert.equal(inserts().flatMap(({ indices }) => indices).length, 315)
      appendFileSync(join(folder, 'repaired'), '')
      assert.equal(await tq.insert(tasks, { parallel: 2, resume: 'x' }), 5)
      assert.equal(await tq.insert(tasks, { resume: 'x' }), 0)
      const all = inserts()
      assert.deepEqual(
        all.flatMap(({ indices }) => indices).sort((a, b) => a - b),
        upTo(320),
      )
      assert.equal(new Set(all.flatMap(({ ids }) => ids)).size, 320)
      assert.deepEqual(
        eventsOf(file).flatMap(event => (event.event === 'count' ? [event.added] : [])),
        [315, 5],
      )
      await tq.purge()
      assert.equal(await tq.insert(tasks, { resume: 'x' }), 320)
    }))
})

describe('a named insert into SQS', () => {
  it('reaches the endpoint from all threads with the region and delay of the queue, and is resumed', async () => {
    const server = await startServer('fauxqs')
    try {
      const made = await openQueue(server.endpoint)
      const name = made.queueName
      await using tq = new TaskQueue(`sqs://${name}`, {
        progress: false,
        ...ACCESS,
        endpoint: server.endpoint,
        emptyWindowSeconds: 0,
      })
      assert.equal(await tq.insert(new Numbers(0, 500), { parallel: 2, resume: 'x' }), 500)
      assert.equal(await tq.insert(new Numbers(0, 500), { parallel: 2, resume: 'x' }), 0)
      const numbers = (await drain(made)).map(body => JSON.parse(body).payload[1][0])
      assert.deepEqual(
        numbers.sort((a, b) => a - b),
        upTo(500),
      )
      assert.equal(
        await tq.insert(
          upTo(30).map(i => partial(numbered, i)),
          { parallel: 2, delaySeconds: 900 },
        ),
        30,
      )
      assert.deepEqual(await tq.status().then(({ enqueued, delayed }) => [enqueued, delayed]), [30, 30])
      await assert.rejects(
        new TaskQueue(`sqs://${name}`, { ...ACCESS, client: { send: async () => ({}) } }).insert(new Numbers(0, 5), {
          parallel: 1,
        }),
        /Expected `client` to be data that can be cloned to a thread/,
      )
      assert.equal(readdirSync(join(state, 'ptq', 'uploads')).length > 0, true)
      await made.close()
    } finally {
      await server.close()
    }
  })
})
