import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, test } from 'node:test'
import { partial, queueable, TaskQueue } from 'ptq'
import { ACCESS, drain, insertAll, makeMessages, only, openQueue } from './queue.js'
import { SERVER_KINDS, type SqsServer, startServer } from './server.js'

const count = queueable(function countOnFifo(n: number): number {
  return n
})

let failing = true
const failOrNot = queueable(function failOrNotOnFifo(): void {
  if (failing) throw new RangeError('not yet')
})

// SQS FIFO drops a message whose deduplication id came within 5 minutes: all of these tests are faster than that.
for (const kind of SERVER_KINDS) {
  describe(`a FIFO queue on ${kind} accepts a task again`, () => {
    let server: SqsServer
    const open: TaskQueue[] = []
    before(async () => {
      server = await startServer(kind)
    })
    afterEach(async () => {
      for (const tq of open.splice(0)) await tq.close()
    })
    after(() => server.close())

    function newQueue(name = `sqs://test-${randomUUID()}.fifo`): TaskQueue {
      const onServer = { ...ACCESS, endpoint: server.endpoint, createIfMissing: true, emptyWindowSeconds: 0 }
      const tq = new TaskQueue(name, { progress: false, ...(name.startsWith('sqs') && onServer) })
      open.push(tq)
      return tq
    }

    const SOON = { parallel: 0, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.01, untilEmpty: true } as const

    test('that was moved out and back twice', async () => {
      const [here, there] = [newQueue(), newQueue()]
      await here.insert(Array.from({ length: 20 }, (_, n) => partial(count, n)))
      for (let round = 0; round < 2; round++) {
        assert.deepEqual(await here.moveTo(there), { moved: 20, uncertain: 0 })
        assert.equal(await there.enqueued(), 20)
        assert.deepEqual(await there.moveTo(here), { moved: 20, uncertain: 0 })
        assert.equal(await here.enqueued(), 20)
      }
      assert.equal(await here.poll(SOON), 20)
    })

    test('that is copied a second time after the first copy ran', async () => {
      const [here, there] = [newQueue(`mem://${randomUUID()}`), newQueue()]
      await here.insert([partial(count, 1), partial(count, 2)])
      for (let round = 0; round < 2; round++) {
        assert.equal(await here.copyTo(there), 2)
        assert.equal(await there.poll(SOON), 2)
      }
    })

    test('that is retried soon after the insert, and again as a dead letter', async () => {
      const [tq, letters] = [newQueue(), newQueue()]
      await tq.insert(partial(failOrNot))
      const poll = { ...SOON, maxAttempts: 1, deadLetter: letters.url }
      failing = true
      for (let round = 0; round < 2; round++) {
        assert.equal(await tq.poll(poll), 0)
        assert.equal(await tq.enqueued(), 0)
        assert.equal(await letters.enqueued(), 1)
        assert.equal(await tq.retry({ deadLetter: letters.url }), 1)
        assert.equal(await letters.enqueued(), 0)
        assert.equal(await tq.enqueued(), 1)
      }
      failing = false
      assert.equal(await tq.poll(poll), 1)
    })

    test('but only once for the same move, if that is killed and repeated', async () => {
      const options = { fifo: true }
      const [here, there] = [await openQueue(server.endpoint, options), await openQueue(server.endpoint, options)]
      const messages = makeMessages(1)
      await insertAll(here, messages)
      for (let round = 0; round < 2; round++) {
        const lease = only(await here.lease({ seconds: 30, max: 1, waitSeconds: 5 }))
        assert.equal(lease.id, messages[0]?.id)
        const { id, body, incarnation = '' } = lease
        await insertAll(there, [{ id, body, passage: incarnation }])
        assert.deepEqual(await here.renew([lease], 1), [])
      }
      const arrived = only(await there.lease({ seconds: 30, max: 10, waitSeconds: 0 }))
      assert.equal(arrived.id, messages[0]?.id)
      assert.deepEqual(await there.delete([arrived], { tally: false }), [])
      assert.deepEqual(await drain(there), [])
      for (const backend of [here, there]) await backend.close()
    })
  })
}
