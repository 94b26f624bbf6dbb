import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { partial, range } from 'ptq'
import { noop, throwUntil } from '../poll/tasks.js'
import { newTaskQueue } from '../sqs/queue.js'
import { type SqsServer, startServer } from '../sqs/server.js'

const eager = { untilEmpty: true, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.02, parallel: 0 } as const

describe('packs on SQS', () => {
  let server: SqsServer
  before(async () => {
    server = await startServer('fauxqs')
  })
  after(() => server.close())

  it('run, and a task that fails leaves its pack and is retried', async () => {
    await using tq = newTaskQueue(server.endpoint)
    await tq.insert([...Array.from({ length: 1_000 }, (_, n) => partial(noop, n)), partial(throwUntil, 2)], {
      pack: 100,
    })
    const failed: number[] = []
    tq.events.on('failed', ({ task }) => failed.push(task.attempt))
    // SQS counts messages.
    assert.equal(await tq.enqueued(), 11)
    assert.equal(await tq.poll(eager), 1_001)
    assert.deepEqual(failed, [1])
  })

  it('of large payloads stay within the 1 MiB of a message, also if characters are escaped', async () => {
    await using tq = newTaskQueue(server.endpoint)
    // Three bytes each, six as \uXXXX.
    const tasks = Array.from({ length: 40 }, () => ({ class: 'Any', text: '€'.repeat(20_000) }))
    assert.equal(await tq.insert(tasks, { pack: 1_000 }), 40)
    assert.ok((await tq.enqueued()) >= 5)
  })

  it('that are stopped release the rest as one message, whose tasks keep their ids', async () => {
    await using tq = newTaskQueue(server.endpoint)
    await tq.insert(range(noop, 0, 5_000), { pack: 5_000 })
    const ids = new Set<string>()
    let ran = 0
    tq.events.on('succeeded', ({ task: { id } }) => ids.add(id))
    ran += await tq.poll({ ...eager, untilEmpty: false, stopFn: ({ executed }) => executed >= 100 })
    assert.ok(ran >= 100 && ran < 5_000)
    ran += await tq.poll(eager)
    assert.deepEqual([ran, ids.size], [5_000, 5_000])
  })
})
