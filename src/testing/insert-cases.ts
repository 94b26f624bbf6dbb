/** Cases of inserting. */
import assert from 'node:assert/strict'
import { type ConformanceCase, ids, noFailures } from './queue-under-test.js'

/** More than backends usually give at once, so that batches are crossed. */
const several = 25

export const insertCases: readonly ConformanceCase[] = [
  {
    name: 'its capabilities are valid numbers, and match its methods',
    async run({ backend, capabilities }) {
      for (const size of [capabilities.insertBatch, capabilities.leaseBatch]) {
        assert.ok(Number.isInteger(size) && size >= 1, `expected a batch size of 1 or more, got ${size}`)
      }
      const { secondsStep, maxLeaseSeconds, maxDelaySeconds } = capabilities
      assert.ok(secondsStep > 0 && Number.isFinite(secondsStep), `expected a step above 0, got ${secondsStep}`)
      assert.ok(maxLeaseSeconds >= secondsStep, 'the longest lease is at least one step')
      assert.ok(maxDelaySeconds >= 0, 'the longest delay is at least 0')
      assert.equal(backend.list !== undefined, capabilities.listing, 'list')
      assert.equal(backend.releaseAll !== undefined, capabilities.releaseAll, 'releaseAll')
      assert.equal(backend.rezero !== undefined, capabilities.counters, 'rezero')
      assert.equal(backend.addInserted !== undefined, capabilities.counters, 'addInserted')
      assert.equal(backend.failures !== undefined, capabilities.history, 'failures')
      assert.notEqual(backend.label, '')
      assert.notEqual(backend.queueName, '')
    },
  },
  {
    name: 'an empty queue leases nothing and counts nothing',
    async run(queue) {
      await queue.nothingFree()
      const { enqueued, leased, delayed, inserted, completed } = await queue.backend.counts()
      assert.deepEqual({ enqueued, leased, delayed }, { enqueued: 0, leased: 0, delayed: 0 })
      const counter = queue.capabilities.counters ? 0 : Number.NaN
      assert.deepEqual({ inserted, completed }, { inserted: counter, completed: counter })
    },
  },
  {
    name: 'a message is leased with its id, byte for byte, as a first attempt',
    async run(queue) {
      const messages = [
        queue.message([['tasks', 'print_task'], ['"quotes" \\ \n and \u0000'], { times: 3 }, -1]),
        queue.message('{"class": "Downsample", "id": 18446744073709551615,  "fill": NaN}'),
        queue.message({ class: 'PrintTask', txt: 'Čau, 世界, 🎉' }),
        queue.message({ class: 'PrintTask', txt: 'x'.repeat(100_000) }),
      ]
      for (const message of messages) noFailures(await queue.backend.insert([message], { delaySeconds: 0 }))
      const leases = await queue.take(messages.length)
      const bodies = new Map(leases.map(({ id, body }) => [id, body]))
      for (const { id, body } of messages) assert.equal(bodies.get(id), body)
      for (const { attempt } of leases) assert.equal(attempt, 1)
    },
  },
  {
    name: 'batches of every size are inserted and leased completely',
    async run(queue) {
      const messages = await queue.fill(several)
      const leases = await queue.take(several)
      assert.deepEqual(ids(leases), ids(messages))
      if (queue.capabilities.exactCounts) {
        const { enqueued, leased } = await queue.backend.counts()
        assert.deepEqual({ enqueued, leased }, { enqueued: several, leased: several })
      }
      const size = queue.capabilities.leaseBatch
      for (let start = 0; start < several; start += size) {
        noFailures(await queue.backend.delete(leases.slice(start, start + size), { tally: false }))
      }
      await queue.nothingFree()
      if (queue.capabilities.exactCounts) assert.equal((await queue.backend.counts()).enqueued, 0)
    },
  },
  {
    name: 'a delayed message is available after its delay, not before',
    async run(queue) {
      const { shortSeconds, longSeconds, backend } = queue
      await queue.fill(1, longSeconds)
      await queue.nothingFree()
      if (queue.capabilities.exactCounts) {
        const { enqueued, leased, delayed } = await backend.counts()
        assert.deepEqual({ enqueued, leased, delayed }, { enqueued: 1, leased: 0, delayed: 1 })
      }
      const [soon] = await queue.fill(1, shortSeconds)
      await queue.pass(shortSeconds)
      const lease = await queue.takeOne()
      assert.equal(lease.id, soon?.id)
      assert.equal(lease.attempt, 1, 'a delay is no attempt')
    },
  },
  {
    name: 'a message that is inserted again while it is enqueued is the same message',
    leftOut: ({ capabilities }) =>
      capabilities.dedupesInserts ? undefined : 'it does not recognise ids, capabilities.dedupesInserts',
    async run(queue) {
      const message = queue.message()
      noFailures(await queue.backend.insert([message], { delaySeconds: 0 }))
      noFailures(await queue.backend.insert([message, queue.message()], { delaySeconds: 0 }))
      assert.equal((await queue.backend.counts()).enqueued, 2)
      const leases = await queue.take(2)
      noFailures(await queue.backend.insert([message], { delaySeconds: 0 }))
      await queue.nothingFree()
      noFailures(await queue.backend.delete(leases, { tally: false }))
      assert.equal((await queue.backend.counts()).enqueued, 0)
    },
  },
  {
    name: 'messages stay after their inserter has closed the queue',
    async run(queue) {
      const inserter = await queue.open()
      const message = queue.message()
      noFailures(await inserter.insert([message], { delaySeconds: 0 }))
      await inserter.close()
      const later = await queue.open()
      assert.equal((await queue.takeOne({ backend: later })).id, message.id)
    },
  },
  {
    name: 'the count of inserted messages is exact when many processes raise it at the same time',
    leftOut: ({ capabilities }) => (capabilities.counters ? undefined : 'it has no counters, capabilities.counters'),
    async run(queue) {
      const holders = [queue.backend, await queue.open(), await queue.open()]
      await Promise.all(holders.flatMap(backend => Array.from({ length: 5 }, () => backend.addInserted?.(7))))
      assert.equal((await queue.backend.counts()).inserted, 3 * 5 * 7)
      await queue.fill(1)
      const lease = await queue.takeOne()
      noFailures(await queue.backend.delete([lease], { tally: true }))
      assert.equal((await queue.backend.counts()).completed, 1)
      await queue.backend.rezero?.()
      const { inserted, completed } = await queue.backend.counts()
      assert.deepEqual({ inserted, completed }, { inserted: 0, completed: 0 })
    },
  },
]
