// Dead letters of tasks that were in packs, and of whole packs: they are found and retried by the ids of tasks.
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { partial, queueable, type TaskQueue } from 'ptq'
import { taskIds } from '#ptq/backend/task-ids.js'
import { runCli } from '../cli/run-cli.js'
import { deadLettersOf } from '../poll/dead-letters.js'
import { onEach } from '../poll/queues.js'
import { Breaking } from './sequences.js'

const eager = { parallel: 0, untilEmpty: true, tally: true, minBackoffSeconds: 0.01, maxAttempts: 1 } as const

const SIZE = 20

/** Tasks of this number fail. */
const BAD = [3, 5]

export const failSome = queueable(function failSomeOfPack(n: number) {
  if (BAD.includes(n)) throw new RangeError(`task ${n} always fails`)
})

/** A pack of which the first eight tasks ended, two of them as dead letters. @returns the id of the task at an index */
async function partlyDead(tq: TaskQueue): Promise<(index: number) => string> {
  await tq.insert(
    Array.from({ length: SIZE }, (_, n) => partial(failSome, n)),
    { pack: SIZE },
  )
  const [{ id } = assert.fail('there is a pack')] = await tq.list()
  await tq.poll({ ...eager, stopFn: ({ executed, failed }) => executed + failed === 8 })
  assert.equal(await tq.failed(), BAD.length)
  assert.equal(await tq.enqueued(), SIZE - 8)
  return taskIds(id.replaceAll('-', ''))
}

/** A dead letter that is a pack: its sequence makes no task 5. */
async function deadPack(tq: TaskQueue): Promise<(index: number) => string> {
  await tq.insert(new Breaking(0, SIZE, 5), { pack: SIZE })
  const [{ id } = assert.fail('there is a pack')] = await tq.list()
  assert.equal(await tq.poll(eager), 5)
  assert.deepEqual(
    (await deadLettersOf(tq)).map(({ isPack, count }) => [isPack, count]),
    [[true, SIZE - 5]],
  )
  return taskIds(id.replaceAll('-', ''))
}

describe('a dead letter that was in a pack', () => {
  onEach('is found by its id, with its failure, while the rest of its pack is queued', async queue => {
    const tq = queue.open()
    const idOf = await partlyDead(tq)
    assert.equal((await tq.find(idOf(3)))?.inPack?.isDone, true)
    const letter = await tq.findFailure(idOf(3))
    assert.deepEqual([letter?.id, letter?.isPack, letter?.inPack], [idOf(3), false, undefined])
    assert.match(letter?.failures.at(-1)?.reason ?? '', /task 3 always fails/)
    assert.equal(await tq.findFailure(idOf(4)), undefined)
  })

  onEach('is retried alone by its id, and then found in the queue', async queue => {
    const tq = queue.open()
    const idOf = await partlyDead(tq)
    assert.equal(await tq.retry({ match: idOf(4) }), 0)
    assert.equal(await tq.retry({ match: idOf(3) }), 1)
    assert.deepEqual(
      (await deadLettersOf(tq)).map(({ id }) => id),
      [idOf(5)],
    )
    const again = await tq.find(idOf(3))
    assert.deepEqual([again?.id, again?.inPack, again?.failures.length], [idOf(3), undefined, 1])
    assert.equal(await tq.enqueued(), SIZE - 8 + 1)
  })

  onEach(
    'is shown and retried by ptq',
    async queue => {
      const tq = queue.open()
      const idOf = await partlyDead(tq)
      const shown = await runCli(['show', queue.url, idOf(3)])
      assert.match(shown.stdout, /^State: failed\nTask: .*\nPayload: .*\[3\]/m)
      assert.match(shown.stdout, /task 3 always fails/)
      const done = await runCli(['show', queue.url, idOf(4)])
      assert.match(done.stdout, /^Done: it has ended or left its pack/m)
      const asJson = JSON.parse((await runCli(['show', queue.url, idOf(5), '--json'])).stdout)
      assert.deepEqual([asJson.state, asJson.inPack, asJson.failures.length], ['failed', undefined, 1])
      await runCli(['retry', queue.url, '--match', idOf(3)])
      assert.deepEqual(
        (await deadLettersOf(tq)).map(({ id }) => id),
        [idOf(5)],
      )
    },
    ['fq'],
  )
})

describe('a task in a pack that is a dead letter', () => {
  onEach('is found by its id among the dead letters, and its pack is retried by it', async queue => {
    const tq = queue.open()
    const idOf = await deadPack(tq)
    const found = await tq.findFailure(idOf(7))
    assert.deepEqual([found?.id, found?.inPack?.index, found?.inPack?.isDone], [idOf(7), 7, false])
    assert.equal((await tq.findFailure(idOf(2)))?.inPack?.isDone, true)
    assert.equal(await tq.retry({ match: idOf(2) }), 0, 'it has ended')
    assert.equal(await tq.retry({ match: idOf(7) }), SIZE - 5)
    assert.equal(await tq.failed(), 0)
    assert.deepEqual(
      (await tq.list()).map(({ isPack, count }) => [isPack, count]),
      [[true, SIZE - 5]],
    )
    assert.equal((await tq.find(idOf(7)))?.inPack?.isDone, false)
  })

  onEach(
    'is shown by ptq, with its pack',
    async queue => {
      const idOf = await deadPack(queue.open())
      const shown = await runCli(['show', queue.url, idOf(7)])
      assert.match(shown.stdout, /^State: failed\nIn pack: \S+, task 7 from 0, 15 left\n/m)
      assert.match(shown.stdout, /no task 5/)
    },
    ['fq'],
  )
})
