import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe } from 'node:test'
import { type ListedTask, partial, range, type TaskQueue } from 'ptq'
import { taskIds } from '#ptq/backend/task-ids.js'
import { runCli } from '../cli/run-cli.js'
import { onEach } from '../poll/queues.js'
import { noop } from '../poll/tasks.js'

const eager = { parallel: 0, untilEmpty: true, tally: true, minBackoffSeconds: 0.01 } as const

/** The ids of the tasks of the one pack in a queue. */
async function idsIn(tq: TaskQueue): Promise<(index: number) => string> {
  const [{ id } = assert.fail('there is a pack')] = await tq.list()
  return taskIds(id.replaceAll('-', ''))
}

function argumentOf(task: ListedTask | undefined): unknown {
  const payload = task?.payload()
  return Array.isArray(payload) ? payload[1][0] : undefined
}

describe('a task in a pack', () => {
  for (const kind of ['payloads', 'a slice'] as const) {
    onEach(`of ${kind} is found by its id, with its place, and whether it is done`, async queue => {
      const tq = queue.open()
      const listed = Array.from({ length: 20 }, (_, n) => partial(noop, n))
      await tq.insert(kind === 'payloads' ? listed : range(noop, 0, 20), { pack: 20 })
      const [pack] = await tq.list()
      const idOf = await idsIn(tq)
      const found = await tq.find(idOf(7))
      assert.deepEqual(found?.inPack, { id: pack?.id, index: 7, count: 20, isDone: false })
      assert.deepEqual([found?.id, found?.state, found?.isPack, argumentOf(found)], [idOf(7), 'ready', false, 7])
      assert.equal(await tq.find(randomUUID()), undefined)
      assert.equal(await tq.find(taskIds(randomUUID().replaceAll('-', ''))(7)), undefined)

      assert.equal(await tq.poll({ ...eager, stopFn: ({ executed }) => executed === 5 }), 5)
      const [rest] = await tq.list()
      assert.notEqual(rest?.id, pack?.id)
      const later = await tq.find(idOf(10))
      assert.deepEqual(later?.inPack, { id: rest?.id, index: 10, count: 15, isDone: false })
      assert.equal(argumentOf(later), 10)
      assert.deepEqual((await tq.find(idOf(2)))?.inPack, { id: rest?.id, index: 2, count: 15, isDone: true })
    })
  }

  onEach('that is left alone is a message of its own, under its id', async queue => {
    const tq = queue.open()
    await tq.insert(range(noop, 0, 3), { pack: 3 })
    const idOf = await idsIn(tq)
    assert.equal(await tq.poll({ ...eager, stopFn: ({ executed }) => executed === 2 }), 2)
    const [last, ...others] = await tq.list()
    assert.deepEqual([last?.id, last?.isPack, last?.count, others.length], [idOf(2), false, 1, 0])
    assert.equal(await tq.poll(eager), 1)
    assert.equal((await tq.status()).completed, 3)
  })

  onEach(
    'is shown by ptq show',
    async queue => {
      const tq = queue.open()
      await tq.insert(range(noop, 0, 20), { pack: 20 })
      const idOf = await idsIn(tq)
      const shown = await runCli(['show', queue.url, idOf(7)])
      assert.match(
        shown.stdout,
        /^State: ready\nIn pack: \S+, task 7 from 0, 20 left\nTask: tasks\.noop\nPayload: .*\[7\]/m,
      )
      await tq.poll({ ...eager, stopFn: ({ executed }) => executed === 5 })
      const done = await runCli(['show', queue.url, idOf(2)])
      assert.match(done.stdout, /^In pack: \S+, task 2 from 0, 15 left\nDone: it has ended or left its pack/m)
      const asJson = JSON.parse((await runCli(['show', queue.url, idOf(9), '--json'])).stdout)
      assert.deepEqual([asJson.inPack.index, asJson.inPack.isDone, asJson.payload[1]], [9, false, [9]])
    },
    ['fq'],
  )
})
