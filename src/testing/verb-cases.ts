/** Cases of the verbs that not every backend can offer. */
import assert from 'node:assert/strict'
import type { Failure, ListedMessage } from '../backend/messages.js'
import { packId } from '../backend/pack-ids.js'
import { LeaseLostError } from '../errors/errors.js'
import { type ConformanceCase, ids, noFailures } from './queue-under-test.js'

const failure = (attempt: number): Failure => ({
  attempt,
  reason: `Error: attempt ${attempt} failed, "badly" – said so`,
  host: 'node-17',
  pid: 4711,
  failedAtMs: 1_700_000_000_000 + attempt,
  durationSeconds: 1.5,
})

export const verbCases: readonly ConformanceCase[] = [
  {
    name: 'a failed attempt is counted',
    async run(queue) {
      await queue.fill(1)
      for (const attempt of [1, 2, 3]) {
        const lease = await queue.takeOne()
        assert.equal(lease.attempt, attempt)
        noFailures(await queue.backend.release([lease], { delaySeconds: 0, failure: failure(attempt) }))
      }
    },
  },
  {
    name: 'failures are kept with their message, oldest first',
    leftOut: ({ capabilities }) => (capabilities.history ? undefined : 'it keeps no failures, capabilities.history'),
    async run(queue) {
      const other = await queue.open()
      const [message, healthy] = await queue.fill(2)
      assert.ok(message && healthy)
      for (const attempt of [1, 2]) {
        const leases = await queue.take(2)
        const [failing, rest] = [message.id, healthy.id].map(id => leases.filter(lease => lease.id === id))
        assert.ok(failing && rest)
        noFailures(await queue.backend.release(failing, { delaySeconds: 0, failure: failure(attempt) }))
        noFailures(await queue.backend.release(rest, { delaySeconds: 0 }))
      }
      assert.deepEqual(await other.failures?.(message), [failure(1), failure(2)])
      assert.deepEqual(await other.failures?.(healthy), [])
    },
  },
  {
    name: 'a listing shows every message with its state, and leases none',
    leftOut: ({ capabilities }) => (capabilities.listing ? undefined : 'it can list nothing, capabilities.listing'),
    async run(queue) {
      const { backend } = queue
      const [leased] = await queue.fill(1)
      await queue.takeOne()
      const [delayed] = await queue.fill(1, queue.longSeconds)
      const [ready] = await queue.fill(1)
      assert.ok(leased && delayed && ready)
      const listed: ListedMessage[] = []
      for await (const message of backend.list?.() ?? []) listed.push(message)
      const byId = (a: ListedMessage, b: ListedMessage) => a.id.localeCompare(b.id)
      const expected: ListedMessage[] = [
        { ...leased, state: 'leased' },
        { ...delayed, state: 'delayed' },
        { ...ready, state: 'ready' },
      ]
      assert.deepEqual(listed.map(({ id, body, state }) => ({ id, body, state })).sort(byId), expected.sort(byId))
      assert.equal((await queue.takeOne()).id, ready.id)
      await queue.nothingFree()
    },
  },
  {
    name: 'later leases and listings return a replaced body, and a late holder replaces nothing',
    leftOut: ({ replace }) => (replace === undefined ? "it can't change a held message" : undefined),
    async run(queue) {
      const { backend } = queue
      const next = await queue.open()
      const [message] = await queue.fill(1)
      assert.ok(message)
      const lease = await queue.takeOne()
      const changed = { ...message, body: message.body.replace('nothing', 'something') }
      await backend.replace?.(lease, changed.body)
      await queue.nothingFree(next)
      // The lease is still ours: it can be renewed, and changed once more.
      noFailures(await backend.renew([lease], queue.longSeconds))
      await backend.replace?.(lease, message.body)
      await backend.replace?.(lease, changed.body)
      for await (const { id, body } of backend.list?.() ?? []) assert.deepEqual({ id, body }, changed)
      noFailures(await backend.release([lease], { delaySeconds: 0 }))
      await assert.rejects(backend.replace?.(lease, message.body) ?? Promise.resolve(), LeaseLostError)
      const again = await queue.takeOne({ backend: next, seconds: queue.shortSeconds })
      assert.deepEqual([again.id, again.body, again.attempt], [message.id, changed.body, 1])
      await queue.pass(queue.shortSeconds)
      const last = await queue.takeOne()
      await assert.rejects(next.replace?.(again, message.body) ?? Promise.resolve(), LeaseLostError)
      assert.deepEqual([last.body, last.attempt], [changed.body, 2])
      noFailures(await backend.delete([last], { tally: false }))
      await queue.nothingFree(next)
      if (queue.capabilities.exactCounts) assert.equal((await backend.counts()).enqueued, 0)
    },
  },
  {
    name: 'a message of several tasks counts as their number, and is deleted with the given number of completions',
    leftOut: ({ capabilities }) =>
      capabilities.exactCounts && capabilities.counters ? undefined : 'its counts are not exact',
    async run(queue) {
      const { backend } = queue
      const single = queue.message()
      const pack = queue.message()
      const id = packId(pack.id, 100)
      noFailures(
        await backend.insert([single, { ...pack, id, body: pack.body.replace(pack.id, id) }], { delaySeconds: 0 }),
      )
      // A queue that counts messages only leaves the number of messages out.
      const { messages, enqueued } = await backend.counts()
      const tasks = messages === undefined ? 2 : 101
      assert.deepEqual([messages ?? 2, enqueued], [2, tasks])
      await queue.take(2)
      assert.equal((await backend.counts()).leased, tasks)
      if (queue.capabilities.releaseAll) assert.equal(await backend.releaseAll?.(), tasks)
      else await queue.pass(queue.longSeconds)
      const leases = await queue.take(2)
      const completions = leases.map(lease => (lease.id === id ? 60 : 1))
      noFailures(await backend.delete(leases, { tally: true, completions }))
      const after = await backend.counts()
      assert.deepEqual([after.messages, after.enqueued, after.completed], [undefined, 0, 61])
    },
  },
  {
    name: 'releaseAll releases all leased messages of any holder, and no delayed ones',
    leftOut: ({ capabilities }) =>
      capabilities.releaseAll ? undefined : "it doesn't record who holds its messages, capabilities.releaseAll",
    async run(queue) {
      const other = await queue.open()
      await queue.fill(1, queue.longSeconds)
      const messages = await queue.fill(3)
      const [held] = await queue.take(2)
      await queue.takeOne({ backend: other })
      assert.equal(await other.releaseAll?.(), 3)
      assert.equal(await other.releaseAll?.(), 0)
      const leases = await queue.take(3, { backend: other })
      assert.deepEqual(ids(leases), ids(messages))
      await queue.nothingFree()
      assert.ok(held)
      assert.equal((await queue.backend.delete([held], { tally: false })).length, 1, 'its former holder lost it')
      noFailures(await other.delete(leases, { tally: false }))
      const { enqueued, delayed } = await queue.backend.counts()
      assert.deepEqual({ enqueued, delayed }, { enqueued: 1, delayed: 1 })
    },
  },
  {
    name: 'a quarantined message is not leased again, and counted once',
    leftOut: ({ quarantine }) => (quarantine === undefined ? 'it has no place to set messages aside' : undefined),
    async run(queue) {
      const { backend } = queue
      await queue.fill(2)
      const [bad, good] = await queue.take(2)
      assert.ok(bad && good)
      await backend.quarantine?.(bad, 'Expected a task, got nonsense')
      noFailures(await backend.release([good], { delaySeconds: 0 }))
      assert.equal((await queue.takeOne()).id, good.id)
      await queue.nothingFree()
      if (!queue.capabilities.exactCounts) return
      const { quarantined, enqueued } = await backend.counts()
      assert.equal(quarantined + enqueued, 2, 'it is in one place: moved away, or put off')
      if (!queue.capabilities.listing) return
      const listed: ListedMessage[] = []
      for await (const message of backend.list?.() ?? []) listed.push(message)
      assert.equal(listed.length, enqueued)
    },
  },
  {
    name: 'purge removes every ready message',
    async run(queue) {
      await queue.fill(25)
      await queue.backend.purge({ native: false })
      await queue.nothingFree()
      if (queue.capabilities.exactCounts) assert.equal((await queue.backend.counts()).enqueued, 0)
    },
  },
  {
    name: 'purge removes leased and delayed messages too, and the counts with them',
    leftOut: ({ capabilities }) =>
      capabilities.listing ? undefined : 'it sees only what is free, capabilities.listing',
    async run(queue) {
      const { backend } = queue
      await queue.fill(2, queue.longSeconds)
      await queue.fill(4)
      const [held, finished] = await queue.take(2)
      assert.ok(held && finished)
      noFailures(await backend.delete([finished], { tally: true }))
      await backend.addInserted?.(6)
      await backend.purge({ native: false })
      const { enqueued, leased, delayed, inserted, completed } = await backend.counts()
      assert.deepEqual({ enqueued, leased, delayed }, { enqueued: 0, leased: 0, delayed: 0 })
      if (queue.capabilities.counters) assert.deepEqual({ inserted, completed }, { inserted: 0, completed: 0 })
      assert.equal((await backend.renew([held], queue.longSeconds)).length, 1, 'the lease went with its message')
      await queue.fill(1)
      await queue.takeOne()
    },
  },
]
