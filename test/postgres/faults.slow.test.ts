import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { partial, TaskQueue } from 'ptq'
import { noServer, type PostgresServer, startServer } from '../../bench/postgres/server.js'
import { fill, newName, noFailures, openQueue, take, withoutQueue } from './queue.js'
import { count, runs } from './tasks.js'

const WORKERS = 8
const TASKS = 3_000
const RESTARTS = 3

describe('a fault of PostgreSQL', { skip: await noServer(), timeout: 240_000 }, () => {
  let server: PostgresServer
  before(async () => {
    server = await startServer()
  })
  after(() => server.close())

  it('a server that is killed and started again under eight workers and an insert loses nothing; counts are exact', async () => {
    const url = server.url(newName())
    await using inserting = new TaskQueue(url)
    const workers = Array.from({ length: WORKERS }, () => new TaskQueue(url))
    await inserting.insert(partial(count, 0))
    const stop = new AbortController()
    const polling = workers.map(tq =>
      tq.poll({
        parallel: 0,
        leaseSeconds: 60,
        tally: true,
        signal: stop.signal,
        minBackoffSeconds: 0.05,
        maxBackoffSeconds: 0.2,
      }),
    )
    for (let restart = 0; restart < RESTARTS; restart++) {
      const first = 1 + restart * TASKS
      const insert = inserting.insert(Array.from({ length: TASKS }, (_, index) => partial(count, first + index)))
      // Workers are in the middle of it.
      while ((await inserting.completed()) < first + TASKS / 4) await sleep(20)
      if (restart % 2 === 0) await server.kill()
      else await server.shutDown()
      // For so long workers and the insert try in vain.
      await sleep(200)
      await server.start()
      assert.equal(await insert, TASKS)
    }
    const total = 1 + RESTARTS * TASKS
    while (!(await inserting.isEmpty())) await sleep(50)
    stop.abort()
    const executed = (await Promise.all(polling)).reduce((sum, each) => sum + each, 0)
    assert.equal(runs.size, total, 'each task ran')
    assert.ok(executed >= total)
    const { enqueued, leased, delayed, inserted, completed } = await inserting.status()
    assert.deepEqual(
      { enqueued, leased, delayed, inserted, completed },
      { enqueued: 0, leased: 0, delayed: 0, inserted: total, completed: total },
    )
    await Promise.all(workers.map(tq => tq.close()))
  })

  it('a worker that is killed with 4,096 leases loses none, and can change nothing afterwards', async () => {
    const url = server.url(newName())
    const backend = await openQueue(url)
    for (let filled = 0; filled < 4_096; filled += 512) await fill(backend, 512)
    const holder = spawn(process.execPath, [join(import.meta.dirname, 'holder.js'), url, '4096', '5'])
    const [said] = await once(holder.stdout, 'data')
    assert.equal(String(said).trim(), '4096')
    holder.kill('SIGKILL')
    await once(holder, 'close')
    const { enqueued, leased } = await backend.counts()
    assert.equal(enqueued, 4_096)
    assert.ok(leased === 4_096 || leased === 0)
    const again: { attempt: number; deaths?: number }[] = []
    while (again.length < 4_096) again.push(...(await backend.lease({ seconds: 600, max: 1_000, waitSeconds: 30 })))
    assert.equal(again.length, 4_096)
    for (const { attempt, deaths } of again) assert.deepEqual([attempt, deaths], [2, 1])
    await backend.close()
  })

  it('a transaction that stays open while the queue is drained costs no message and no count', async () => {
    const url = server.url(newName())
    const backend = await openQueue(url)
    const client = new pg.Client({ connectionString: withoutQueue(url) })
    await client.connect()
    await fill(backend, 1)
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
    await client.query('SELECT count(*) FROM ptq.messages')
    for (let round = 0; round < 10; round++) {
      await fill(backend, 500)
      for (let batch = 0; batch < 10; batch++)
        noFailures(await backend.delete(await take(backend, 50), { tally: true }))
    }
    const { enqueued, completed } = await backend.counts()
    assert.deepEqual([enqueued, completed], [1, 5_000])
    const { rows } = await client.query('SELECT count(*)::int AS count FROM ptq.messages')
    assert.ok(rows[0].count >= 1, 'its snapshot is that of before')
    await client.query('COMMIT')
    await client.end()
    await backend.close()
  })
})
