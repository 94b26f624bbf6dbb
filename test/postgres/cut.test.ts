import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Backend } from '#ptq/backend/backend.js'
import type { Lease } from '#ptq/backend/messages.js'
import { noServer, type PostgresServer, startServer } from '../../bench/postgres/server.js'
import { type Cut, type CuttingProxy, startCuttingProxy } from './cutting-proxy.js'
import { fill, ids, makeMessages, newName, noFailures, openQueue, take } from './queue.js'

const head = { seed: '0123456789abcdef0123456789abcdef', sequence: 'Numbers', total: 3 }

const failure = { attempt: 1, reason: 'Error: no', host: 'here', pid: 1, failedAtMs: 1, durationSeconds: 1 }

/** A verb, and its result if it was done once or twice. */
interface Case {
  readonly verb: string
  /** A part of its statement. */
  readonly text: string
  /** Leaves 3 messages of which the first is leased, unless `run` changes that. */
  run(backend: Backend, lease: Lease, other: Backend): Promise<void>
}

const cases: readonly Case[] = [
  {
    verb: 'insert',
    text: 'INSERT INTO ptq.messages',
    async run(backend) {
      noFailures(await backend.insert(makeMessages(2), { delaySeconds: 0 }))
      const { enqueued, leased } = await backend.counts()
      assert.deepEqual([enqueued, leased], [5, 1])
    },
  },
  {
    verb: 'lease',
    text: 'ptq.lease',
    async run(backend) {
      const leases = await take(backend, 2)
      for (const { attempt, deaths } of leases) assert.deepEqual([attempt, deaths], [1, 0])
      noFailures(await backend.delete(leases, { tally: true }))
      const { enqueued, leased, completed } = await backend.counts()
      assert.deepEqual([enqueued, leased, completed], [1, 1, 2])
    },
  },
  {
    verb: 'renew',
    text: 'UPDATE ptq.messages',
    async run(backend, lease) {
      noFailures(await backend.renew([lease], 900))
      noFailures(await backend.delete([lease], { tally: false }))
    },
  },
  {
    verb: 'release',
    text: 'attempts - 1',
    async run(backend, lease) {
      noFailures(await backend.release([lease], { delaySeconds: 0 }))
      const leases = await take(backend, 3)
      assert.deepEqual(
        leases.map(({ attempt }) => attempt),
        [1, 1, 1],
      )
    },
  },
  {
    verb: 'release with a failure',
    text: 'cardinality(failures)',
    async run(backend, lease) {
      noFailures(await backend.release([lease], { delaySeconds: 0, failure }))
      const leases = await take(backend, 3)
      const again = leases.find(({ id }) => id === lease.id)
      assert.deepEqual([again?.attempt, again?.failures], [2, [failure]])
    },
  },
  {
    verb: 'delete',
    text: 'DELETE FROM ptq.messages',
    async run(backend, lease) {
      noFailures(await backend.delete([lease], { tally: true }))
      const { enqueued, completed } = await backend.counts()
      assert.deepEqual([enqueued, completed], [2, 1])
    },
  },
  {
    verb: 'quarantine',
    text: 'ptq.set_aside',
    async run(backend, lease) {
      await backend.quarantine?.(lease, 'no task')
      const { enqueued, quarantined } = await backend.counts()
      assert.deepEqual([enqueued, quarantined], [2, 1])
    },
  },
  {
    verb: 'runsAlone',
    text: 'runs_alone = true',
    async run(backend, lease) {
      await backend.runsAlone?.(lease)
      noFailures(await backend.delete([lease], { tally: false }))
    },
  },
  ...['INSERT INTO ptq.tallies', 'COMMIT'].map(text => ({
    verb: `addInserted, at ${text}`,
    text,
    async run(backend: Backend) {
      await backend.addInserted?.(3)
      assert.equal((await backend.counts()).inserted, 3)
    },
  })),
  {
    verb: 'counts',
    text: 'sum(enqueued)',
    async run(backend) {
      const { enqueued, leased, delayed } = await backend.counts()
      assert.deepEqual([enqueued, leased, delayed], [3, 1, 0])
    },
  },
  {
    verb: 'releaseAll',
    text: 'WITH released',
    async run(backend) {
      await backend.releaseAll?.()
      const leases = await take(backend, 3)
      assert.deepEqual(
        leases.map(({ attempt }) => attempt),
        [1, 1, 1],
      )
    },
  },
  {
    verb: 'list',
    text: 'ptq.ids_after',
    async run(backend) {
      const listed: unknown[] = []
      for await (const message of backend.list?.() ?? []) listed.push(message)
      assert.equal(listed.length, 3)
    },
  },
  {
    verb: 'rezero',
    text: 'COMMIT',
    async run(backend) {
      await backend.addInserted?.(3)
      await backend.rezero?.()
      const { enqueued, inserted } = await backend.counts()
      assert.deepEqual([enqueued, inserted], [3, 0])
    },
  },
  {
    verb: 'purge',
    text: 'DELETE FROM ptq.messages',
    async run(backend) {
      await backend.purge({ native: false })
      const { enqueued, leased } = await backend.counts()
      assert.deepEqual([enqueued, leased], [0, 0])
    },
  },
  {
    verb: 'moveTo',
    text: 'ptq.move',
    async run(backend, _, other) {
      for await (const _moved of backend.moveTo?.(other, { signal: new AbortController().signal }) ?? []);
      const [here, there] = [await backend.counts(), await other.counts()]
      assert.deepEqual([here.enqueued, there.enqueued], [1, 2])
      await take(other, 2)
    },
  },
  {
    verb: 'moveLeased',
    text: 'ptq.queues AS target',
    async run(backend, lease, other) {
      const [deadLetter] = makeMessages(1)
      assert.ok(deadLetter)
      assert.equal(await backend.moveLeased?.(lease, deadLetter, other), true)
      const [here, there] = [await backend.counts(), await other.counts()]
      assert.deepEqual([here.enqueued, here.leased, there.enqueued], [2, 0, 1])
      assert.deepEqual(ids(await take(other, 1)), [deadLetter.id])
    },
  },
  ...['INSERT INTO ptq.uploads', 'INSERT INTO ptq.upload_ranges', 'counted = $4', 'finished = true'].map(text => ({
    verb: `an upload, at ${text}`,
    text,
    async run(backend: Backend) {
      const { uploads } = backend
      assert.ok(uploads !== undefined)
      const { run } = await uploads.begin('week-12', head)
      noFailures(await uploads.insert(run, 0, makeMessages(3), { delaySeconds: 0 }))
      assert.deepEqual(await uploads.settle(run, { start: 0, end: 3 }), [{ start: 0, end: 3 }])
      await uploads.counted(run, 3)
      await uploads.finish(run)
      const { enqueued } = await backend.counts()
      const { finished, counted } = await uploads.begin('week-12', head)
      assert.deepEqual([enqueued, finished, counted], [6, true, 3])
    },
  })),
]

describe('a lost connection', { skip: await noServer(), concurrency: false }, () => {
  let server: PostgresServer
  let proxy: CuttingProxy
  before(async () => {
    server = await startServer()
    proxy = await startCuttingProxy(server.port)
  })
  after(async () => {
    await proxy.close()
    await server.close()
  })

  for (const cut of ['before', 'after'] satisfies Cut[]) {
    const when = cut === 'before' ? 'before the server gets the statement' : 'when the server has carried it out'
    for (const { verb, text, run } of cases) {
      it(`${when} changes nothing of ${verb}`, async t => {
        const url = (name: string) => server.url(name).replace(`:${server.port}/`, `:${proxy.port}/`)
        const name = newName()
        const backend = await openQueue(url(name))
        const other = await openQueue(url(`${name}/other`))
        t.after(async () => {
          await backend.close()
          await other.close()
        })
        // The queue is there before the connection is cut.
        noFailures(await other.delete(await take(other, (await fill(other, 1)).length), { tally: false }))
        const messages = await fill(backend, 3)
        const [lease] = await take(backend, 1)
        assert.ok(lease && ids(messages).includes(lease.id))
        const { done } = proxy.cutAt(text, cut)
        await run(backend, lease, other)
        await done
      })
    }
  }

  it('is replaced if it was idle', async () => {
    const backend = await openQueue(server.url(newName()).replace(`:${server.port}/`, `:${proxy.port}/`))
    await fill(backend, 1)
    proxy.shut()
    proxy.open()
    assert.equal((await backend.counts()).enqueued, 1)
    await backend.close()
  })
})
