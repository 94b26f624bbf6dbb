/** The connection breaks after the server has run a verb: the verb is sent again, and done once. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Backend, Failure, Lease, Message } from 'ptq'
import { opener } from '#ptq/backends/redis/index.js'
import { type CuttingProxy, startCuttingProxy } from './cutting-proxy.js'
import { noServer, type RedisServer, startServer } from './server.js'

let server: RedisServer
let proxy: CuttingProxy

before(async () => {
  if (noServer) return
  server = await startServer()
  proxy = await startCuttingProxy(server.port)
})
after(async () => {
  if (noServer) return
  await proxy.close()
  await server.stop()
})

const noDelay = { delaySeconds: 0 }
const lasting = { seconds: 600, max: 10, waitSeconds: 0 }

function message(): Message {
  const id = randomUUID()
  return { id, body: `{"payload": [["tasks", "nothing"], [], {}, -1], "queueName": "jobs", "id": "${id}"}` }
}

interface Holders {
  /** Through the proxy. */
  readonly cut: Backend
  /** On a connection of its own, which is not cut. */
  readonly other: Backend
  /** Runs a verb of `cut` whose first reply is lost; `meanwhile` runs before the verb is sent again. */
  losing<T>(verb: () => Promise<T>, meanwhile?: () => Promise<unknown>): Promise<T>
  take(count: number): Promise<Lease[]>
}

function lost(name: string, run: (holders: Holders) => Promise<void>): void {
  test(name, { skip: noServer }, async () => {
    const queue = `lost-${randomUUID()}`
    const open = (port: number) => opener.open({ protocol: 'redis', path: `127.0.0.1:${port}/0?queue=${queue}` }, {})
    const [cut, other] = [await open(proxy.port), await open(server.port)]
    // A script that the server doesn't know yet has another reply: that it is unknown.
    await prepare(cut)
    await run({
      cut,
      other,
      async losing(verb, meanwhile) {
        const isCut = proxy.cutNextReply()
        const running = verb()
        await isCut
        await meanwhile?.()
        proxy.resume()
        return running
      },
      async take(count) {
        const leases = await cut.lease({ ...lasting, max: count })
        assert.equal(leases.length, count)
        return leases
      },
    })
    await cut.close()
    await other.close()
  })
}

const failure: Failure = {
  attempt: 1,
  reason: 'Error: on purpose',
  host: 'h',
  pid: 1,
  failedAtMs: 1,
  durationSeconds: 0,
}

/** Runs each script once, and leaves the queue as it was. */
async function prepare(backend: Backend): Promise<void> {
  await backend.insert([message(), message()], noDelay)
  const [one, two] = await backend.lease(lasting)
  assert.ok(one && two)
  await backend.renew([one], 600)
  await backend.runsAlone?.(one)
  await backend.release([one], { delaySeconds: 600, failure })
  await backend.quarantine?.(two, 'for a test')
  await backend.delete([two], { tally: true })
  await backend.addInserted?.(1)
  await backend.releaseAll?.()
  await backend.rezero?.()
  await backend.purge({ native: false })
}

lost('an insert whose reply is lost is not repeated when its message was finished in between', async queue => {
  const { cut, other, losing } = queue
  const one = message()
  const failures = await losing(
    () => cut.insert([one], noDelay),
    async () => {
      const leases = await other.lease(lasting)
      assert.deepEqual(
        leases.map(({ id }) => id),
        [one.id],
      )
      assert.deepEqual(await other.delete(leases, { tally: true }), [])
    },
  )
  assert.deepEqual(failures, [])
  assert.equal((await other.counts()).enqueued, 0)
})

lost('a lease whose reply is lost is given to the one who asked, as one attempt', async ({ cut, other, losing }) => {
  await cut.insert([message(), message()], noDelay)
  const leases = await losing(
    () => cut.lease(lasting),
    async () => assert.deepEqual(await other.lease(lasting), []),
  )
  assert.deepEqual(
    leases.map(({ attempt, deaths }) => [attempt, deaths]),
    [
      [1, 0],
      [1, 0],
    ],
  )
  assert.deepEqual(await cut.delete(leases, { tally: true }), [])
  assert.equal((await other.counts()).completed, 2)
})

lost(
  'a lease that found nothing before its reply was lost finds what has come since',
  async ({ cut, other, losing }) => {
    const one = message()
    const leases = await losing(
      () => cut.lease(lasting),
      () => other.insert([one], noDelay),
    )
    assert.deepEqual(
      leases.map(({ id }) => id),
      [one.id],
    )
  },
)

lost('a lease whose reply is lost gives nothing that another holder has by then', async ({ cut, other, losing }) => {
  await cut.insert([message()], noDelay)
  const leases = await losing(
    () => cut.lease({ ...lasting, seconds: 0.02 }),
    async () => {
      for (;;) if ((await other.lease({ ...lasting, waitSeconds: 1 })).length === 1) break
    },
  )
  assert.deepEqual(leases, [])
  assert.equal((await other.counts()).leased, 1)
})

lost('a deletion whose reply is lost is no lost lease, and counted once', async ({ cut, other, losing, take }) => {
  await cut.insert([message(), message()], noDelay)
  const leases = await take(2)
  assert.deepEqual(await losing(() => cut.delete(leases, { tally: true })), [])
  const { enqueued, completed } = await other.counts()
  assert.deepEqual({ enqueued, completed }, { enqueued: 0, completed: 2 })
})

lost('a release whose reply is lost takes nothing from the next holder', async ({ cut, other, losing, take }) => {
  await cut.insert([message()], noDelay)
  const leases = await take(1)
  let next: Lease[] = []
  const failures = await losing(
    () => cut.release(leases, { delaySeconds: 0, failure }),
    async () => {
      next = await other.lease(lasting)
    },
  )
  assert.deepEqual(failures, [])
  assert.equal(next[0]?.attempt, 2)
  assert.deepEqual(await other.failures?.({ id: next[0]?.id ?? '' }), [failure])
  assert.deepEqual(await other.delete(next, { tally: true }), [])
})

lost('renewals and marks whose replies are lost are done once', async ({ cut, other, losing, take }) => {
  await cut.insert([message()], noDelay)
  const [lease] = await take(1)
  assert.ok(lease)
  assert.deepEqual(await losing(() => cut.renew([lease], 600)), [])
  await losing(async () => cut.runsAlone?.(lease))
  assert.equal((await other.counts()).leased, 1)
  await losing(async () => cut.quarantine?.(lease, 'no task'))
  const { enqueued, quarantined } = await other.counts()
  assert.deepEqual({ enqueued, quarantined }, { enqueued: 0, quarantined: 1 })
})

lost('counts whose replies are lost are exact', async ({ cut, other, losing }) => {
  await losing(async () => cut.addInserted?.(7))
  assert.equal((await other.counts()).inserted, 7)
  await losing(
    async () => cut.rezero?.(),
    async () => other.addInserted?.(3),
  )
  assert.equal((await cut.counts()).inserted, 3)
})

lost('a purge whose reply is lost keeps what came after it', async ({ cut, other, losing }) => {
  await cut.insert([message()], noDelay)
  await losing(
    () => cut.purge({ native: false }),
    () => other.insert([message()], noDelay),
  )
  assert.equal((await cut.counts()).enqueued, 1)
})

lost('releaseAll whose reply is lost counts each lease once', async ({ cut, losing, take }) => {
  await cut.insert([message(), message(), message()], noDelay)
  await take(3)
  assert.equal(await losing(async () => cut.releaseAll?.()), 3)
})

lost('a part of an upload whose reply is lost is not stored again when it was finished in between', async queue => {
  const { cut, other, losing } = queue
  const head = { seed: '0', sequence: 'Numbers', total: 5 }
  const uploads = cut.uploads
  assert.ok(uploads)
  const { run } = await uploads.begin('week-1', head)
  await uploads.insert(run, 0, [message()], noDelay)
  await other.delete(await other.lease(lasting), { tally: false })
  await losing(
    () => uploads.insert(run, 1, [message(), message()], noDelay),
    async () => assert.deepEqual(await other.delete(await other.lease(lasting), { tally: false }), []),
  )
  assert.equal((await other.counts()).enqueued, 0)
  assert.deepEqual(await uploads.settle(run, { start: 0, end: 5 }), [{ start: 0, end: 3 }])
  // An earlier insert that is read only now, after other inserts of the same tasks.
  await uploads.insert(run, 2, [message(), message(), message()], noDelay)
  assert.equal((await other.counts()).enqueued, 2)
  await losing(() => uploads.finish(run))
  assert.equal((await uploads.begin('week-1', head)).finished, true)
})

lost('a move whose reply is lost moves each message once', async ({ cut, other, losing }) => {
  const path = `127.0.0.1:${server.port}/0?queue=${cut.queueName}/moved`
  const to = await opener.open({ protocol: 'redis', path }, {})
  await cut.insert([message(), message(), message()], noDelay)
  const move = async () => {
    let moved = 0
    for await (const count of cut.moveTo?.(to, { signal: new AbortController().signal }) ?? []) moved += count
    return moved
  }
  // Makes the script known to the server.
  await move()
  await to.purge({ native: false })
  await cut.insert([message(), message()], noDelay)
  assert.equal(await losing(move), 2)
  assert.deepEqual([(await other.counts()).enqueued, (await to.counts()).enqueued], [0, 2])
  await to.close()
})

lost('a dead letter whose reply is lost is stored once', async ({ cut, other, losing, take }) => {
  const path = `127.0.0.1:${server.port}/0?queue=${cut.queueName}/failed`
  const failed = await opener.open({ protocol: 'redis', path }, {})
  assert.deepEqual(await cut.insert([message(), message()], noDelay), [])
  const [first, second] = await take(2)
  assert.ok(first && second)
  // Makes the script known to the server.
  assert.equal(await cut.moveLeased?.(first, message(), failed), true)
  assert.deepEqual(await failed.delete(await failed.lease(lasting), { tally: false }), [])
  const letter = message()
  const isMoved = await losing(
    async () => cut.moveLeased?.(second, letter, failed),
    // Finished before the script is sent again.
    async () => assert.deepEqual(await failed.delete(await failed.lease(lasting), { tally: false }), []),
  )
  assert.equal(isMoved, true)
  assert.deepEqual([(await other.counts()).enqueued, (await failed.counts()).enqueued], [0, 0])
  await failed.close()
})

lost('a reader whose reply is lost reads again', async ({ cut, losing }) => {
  await cut.insert([message()], noDelay)
  assert.equal((await losing(() => cut.counts())).enqueued, 1)
  const listed = await losing(async () => {
    const ids: string[] = []
    for await (const { id } of cut.list?.() ?? []) ids.push(id)
    return ids
  })
  assert.equal(listed.length, 1)
})
