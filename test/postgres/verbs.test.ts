import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { TaskQueue } from 'ptq'
import { parseQueueUrl } from '#ptq/backend/queue-url.js'
import { parseServerUrl } from '#ptq/backend/server-url.js'
import { Connection } from '#ptq/backends/postgres/connection.js'
import { checkOptions } from '#ptq/backends/postgres/options.js'
import { foldStatement } from '#ptq/backends/postgres/queue.js'
import { WakeUps } from '#ptq/backends/postgres/wake-up.js'
import { noServer, type PostgresServer, startServer } from '../../bench/postgres/server.js'
import { fill, ids, newName, noFailures, openQueue, runSql, take, withoutQueue } from './queue.js'

describe('a queue in PostgreSQL', { skip: await noServer() }, () => {
  let server: PostgresServer
  before(async () => {
    server = await startServer()
  })
  after(() => server.close())

  it('is not created by reading it', async () => {
    await runSql(server.url('q'), 'CREATE DATABASE looked')
    const url = server.url(newName(), 'looked')
    const backend = await openQueue(url)
    const { enqueued, inserted, quarantined } = await backend.counts()
    assert.deepEqual([enqueued, inserted, quarantined], [0, 0, 0])
    assert.deepEqual(await backend.lease({ seconds: 1, max: 1, waitSeconds: 0 }), [])
    assert.equal(await backend.exists?.(), false)
    for await (const _message of backend.list?.() ?? []) assert.fail()
    assert.deepEqual(await backend.failures?.({ id: '9b24daec-5b5a-460b-a3dc-7480e744439e' }), [])
    assert.deepEqual(await backend.workers?.(), [])
    await backend.purge({ native: false })
    await backend.rezero?.()
    assert.equal(await backend.releaseAll?.(), 0)
    const [row] = await runSql(url, "SELECT to_regnamespace('ptq') AS made")
    assert.equal(row?.made, null)
    await backend.close()
  })

  it('is created once by concurrent inserts', async () => {
    await runSql(server.url('q'), 'CREATE DATABASE raced')
    const name = newName()
    const backends = await Promise.all(Array.from({ length: 4 }, () => openQueue(server.url(name, 'raced'))))
    await Promise.all(backends.map(backend => fill(backend, 3)))
    assert.equal((await backends[0]?.counts())?.enqueued, 12)
    await Promise.all(backends.map(backend => backend.close()))
  })

  it('gets an insert when the transaction of `client` commits, and none when it is rolled back', async () => {
    const url = server.url(newName())
    await using seen = new TaskQueue(url)
    await seen.insert({ class: 'First' })
    const client = new pg.Client({ connectionString: withoutQueue(url) })
    await client.connect()
    await using tq = new TaskQueue(url, { client })
    await client.query('CREATE TABLE orders (id int)')
    for (const end of ['ROLLBACK', 'COMMIT']) {
      await client.query('BEGIN')
      await client.query('INSERT INTO orders VALUES (1)')
      assert.equal(await tq.insert([{ class: 'A' }, { class: 'B' }]), 2)
      assert.equal(await seen.enqueued(), 1, 'not there before the end')
      assert.equal(await tq.enqueued(), 3, 'seen within the transaction')
      await client.query(end)
      assert.equal(await seen.enqueued(), end === 'COMMIT' ? 3 : 1)
      assert.equal(await seen.inserted(), end === 'COMMIT' ? 3 : 1)
    }
    await tq.close()
    await client.query('DROP TABLE orders')
    await client.end()
  })

  it('is created beside an open transaction that creates another one', async () => {
    const url = server.url(newName())
    await using first = new TaskQueue(server.url(newName()))
    await first.insert({ class: 'A' })
    const client = new pg.Client({ connectionString: withoutQueue(url) })
    await client.connect()
    await using tq = new TaskQueue(url, { client })
    await client.query('BEGIN')
    await tq.insert({ class: 'A' })
    await using other = new TaskQueue(server.url(newName()))
    // Without an answer within 30 s, a statement counts as cut.
    await other.insert({ class: 'A' })
    assert.equal(await other.enqueued(), 1)
    await client.query('COMMIT')
    await tq.close()
    await client.end()
  })

  it('creates its tables in the transaction of `client`, again where it was rolled back', async () => {
    await runSql(server.url('q'), 'CREATE DATABASE fresh')
    const url = server.url('q', 'fresh')
    const client = new pg.Client({ connectionString: withoutQueue(url) })
    await client.connect()
    await using tq = new TaskQueue(url, { client })
    await using seen = new TaskQueue(url)
    await client.query('BEGIN')
    await tq.insert({ class: 'A' })
    await client.query('ROLLBACK')
    await client.query('BEGIN')
    await tq.insert({ class: 'A' })
    assert.equal(await seen.exists(), false)
    await client.query('COMMIT')
    assert.equal(await seen.enqueued(), 1)
    await tq.close()
    await client.end()
  })

  it('runs on the `pool` of its user, which it leaves open', async () => {
    const url = server.url(newName())
    for (const max of [1, 4]) {
      const pool = new pg.Pool({ connectionString: withoutQueue(url), max })
      const tq = new TaskQueue(url, { pool })
      await tq.insert([{ class: 'A' }, { class: 'B' }])
      const waiting = tq.lease({ numTasks: 3, waitSeconds: 1 })
      assert.equal((await waiting).length, 2)
      assert.equal((await tq.lease({ waitSeconds: 0.2 })).length, 0)
      await tq.purge()
      await tq.close()
      assert.deepEqual((await pool.query('SELECT 1 AS one')).rows, [{ one: 1 }])
      await pool.end()
    }
  })

  it('is the same for any form of its URL, and another one under another name or in another database', async () => {
    const name = newName()
    const [one, same, other, elsewhere] = await Promise.all(
      [
        server.url(name),
        `${server.url(name).replace('127.0.0.1', 'localhost').replace('postgres:', 'postgresql:')}&application_name=x`,
        server.url(newName()),
        server.url(name, 'template1'),
      ].map(url => openQueue(url)),
    )
    assert.ok(one && same && other && elsewhere)
    assert.equal(await one.isSame?.(same), true)
    assert.equal(await one.isSame?.(other), false)
    assert.equal(await one.isSame?.(elsewhere), false)
    assert.equal(one.moveTo?.(elsewhere, { signal: new AbortController().signal }), undefined)
    await Promise.all([one, same, other, elsewhere].map(backend => backend.close()))
  })

  it('moves ready messages to another queue of the database, and nothing is in both at any time', async () => {
    const [from, to] = [await openQueue(server.url(newName())), await openQueue(server.url(newName()))]
    const messages = [...(await fill(from, 400)), ...(await fill(from, 400)), ...(await fill(from, 400))]
    const held = await take(from, 1)
    await fill(from, 1, 600)
    const sums = new Set<number>()
    const watching = new AbortController()
    const watcher = (async () => {
      while (!watching.signal.aborted) {
        const [row] = await runSql(
          server.url('q'),
          'SELECT count(DISTINCT id) AS ids, count(*) AS rows FROM ptq.messages',
        )
        sums.add(Number(row?.rows) - Number(row?.ids))
      }
    })()
    let moved = 0
    for await (const some of from.moveTo?.(to, { signal: new AbortController().signal }) ?? []) moved += some
    watching.abort()
    await watcher
    assert.deepEqual([...sums], [0])
    assert.equal(moved, messages.length - held.length)
    const [here, there] = [await from.counts(), await to.counts()]
    assert.deepEqual([here.enqueued, here.leased, here.delayed, there.enqueued], [2, 1, 1, moved])
    const arrived = await take(to, moved)
    assert.deepEqual(ids([...arrived, ...held]), ids(messages))
    await from.close()
    await to.close()
  })

  it('counts exactly while many insert and finish, and while the additions are summed up', async () => {
    const name = newName()
    const backends = await Promise.all(Array.from({ length: 3 }, () => openQueue(server.url(name))))
    const [first] = backends
    assert.ok(first !== undefined)
    let done = 0
    await Promise.all(
      backends.map(async backend => {
        for (let round = 0; round < 40; round++) {
          await fill(backend, 5)
          const leases = await backend.lease({ seconds: 600, max: 4, waitSeconds: 0 })
          noFailures(await backend.delete(leases, { tally: true }))
          done += leases.length
          if (round % 10 === 0) await sumUp(server, name)
        }
      }),
    )
    const { enqueued, completed, leased } = await first.counts()
    assert.deepEqual([enqueued, completed, leased], [600 - done, done, 0])
    await first.rezero?.()
    const zero = await first.counts()
    assert.deepEqual([zero.enqueued, zero.completed], [600 - done, 0])
    await Promise.all(backends.map(backend => backend.close()))
  })

  it('loses no lease that is renewed twice at the same time', async () => {
    const backend = await openQueue(server.url(newName()))
    await fill(backend, 50)
    const leases = await take(backend, 50)
    for (let round = 0; round < 10; round++) {
      const renewals = await Promise.all([backend.renew(leases, 600), backend.renew(leases, 600)])
      for (const failures of renewals) noFailures(failures)
    }
    noFailures(await backend.delete(leases, { tally: false }))
    await backend.close()
  })

  it('wakes a waiting worker by a notification when messages are inserted, released, or moved to it', {
    timeout: 60_000,
  }, async () => {
    const name = newName()
    const [inserter, other] = [await openQueue(server.url(name)), await openQueue(server.url(newName()))]
    const url = parseQueueUrl(server.url(name), { cwd: '/', home: '/' })
    const connection = await Connection.make('q', url, parseServerUrl(url), checkOptions({}))
    const wakeUps = new WakeUps(connection, name)
    assert.equal(await wakeUps.listen(), true)
    await fill(inserter, 2)
    await fill(other, 1)
    const [lease] = await take(inserter, 1)
    assert.ok(lease !== undefined)
    const acts: (() => Promise<unknown>)[] = [
      () => fill(inserter, 1),
      () => inserter.release([lease], { delaySeconds: 0 }),
      async () => inserter.releaseAll?.(),
      async () => {
        for await (const _moved of other.moveTo?.(inserter, { signal: new AbortController().signal }) ?? []);
      },
    ]
    for (const act of acts) {
      // Notifications of the last one have arrived: one of two that come within 20 ms is sent after these, and nothing tells that
      // it was the last. One that comes even later would only hide a fault.
      await sleep(100)
      const wait = wakeUps.wait(undefined)
      await act()
      // Nothing polls here: without a notification it would be an hour.
      await wait.end(3_600_000)
    }
    await wakeUps.close()
    await Promise.all([inserter.close(), other.close(), connection.close()])
  })

  it('is polled by a worker whose notifications get lost, and by one whose listening connection was ended', async () => {
    const url = server.url(newName())
    const [worker, inserter] = [await openQueue(url), await openQueue(url)]
    const waiting = worker.lease({ seconds: 600, max: 1, waitSeconds: 60 })
    await untilListening(server)
    await runSql(
      url,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'NOTIFY%' OR query LIKE 'LISTEN%'",
    )
    await fill(inserter, 1)
    assert.equal((await waiting).length, 1)
    await Promise.all([worker, inserter].map(backend => backend.close()))
  })

  it('skips rows that a transaction of others has locked', async () => {
    const url = server.url(newName())
    const backend = await openQueue(url)
    const [locked] = await fill(backend, 2)
    const client = new pg.Client({ connectionString: withoutQueue(url) })
    await client.connect()
    await client.query('BEGIN')
    await client.query('SELECT 1 FROM ptq.messages WHERE id = $1 FOR UPDATE', [locked?.id])
    const leases = await backend.lease({ seconds: 600, max: 2, waitSeconds: 0 })
    assert.equal(leases.length, 1)
    await client.query('ROLLBACK')
    await client.end()
    assert.deepEqual(ids(await take(backend, 1)), [locked?.id])
    await backend.close()
  })

  it('finds messages that were committed late, before those leased since', async () => {
    const url = server.url(newName())
    const backend = await openQueue(url)
    await fill(backend, 1)
    const client = new pg.Client({ connectionString: withoutQueue(url) })
    await client.connect()
    const late = await openQueue(url, { client })
    await client.query('BEGIN')
    const [message] = await fill(late, 1)
    await fill(backend, 3)
    await take(backend, 4)
    await client.query('COMMIT')
    assert.deepEqual(ids(await take(backend, 1)), [message?.id])
    await client.end()
    await backend.close()
  })
})

/** Sums up the additions to the counts, as one in 200 calls does. */
async function sumUp(server: PostgresServer, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: withoutQueue(server.url(name)) })
  await client.connect()
  await client.query(foldStatement, [name, 10_000])
  await client.end()
}

async function untilListening(server: PostgresServer): Promise<void> {
  const text = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'NOTIFY ptq_%' AND state = 'idle'"
  while ((await runSql(server.url('q'), text)).length === 0) await sleep(20)
}
