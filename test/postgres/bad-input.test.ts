import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { inspect } from 'node:util'
import pg from 'pg'
import { TaskQueue, type TaskQueueOptions } from 'ptq'
import { requireServerVersion } from '#ptq/backends/postgres/schema.js'
import { noServer, PASSWORD, type PostgresServer, startServer, USER } from '../../bench/postgres/server.js'
import { runCli } from '../cli/run-cli.js'
import { fill, newName, openQueue, runSql, withoutQueue } from './queue.js'

/** Asserts an error that contains no password at any depth. */
async function refusedWith(work: () => Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(work, (error: Error) => {
    assert.match(error.message, message)
    const shown = `${inspect(error, { depth: null })} ${error.stack} ${JSON.stringify(error)}`
    assert.doesNotMatch(shown, /hunter2/)
    return true
  })
}

const refused = (url: string, message: RegExp, options: TaskQueueOptions = {}) =>
  refusedWith(async () => {
    await using tq = new TaskQueue(url, options)
    await tq.status()
  }, message)

describe('a queue in PostgreSQL that is refused in one sentence, without the password', () => {
  it('has a URL without a queue, or with an invalid one', async () => {
    await refused('postgres://ada:hunter2@h/db', /names the queue on the server with `\?queue=`/)
    await refused('postgres://ada:hunter2@h/db?queue=', /one `queue=`, a name of up to 100 letters/)
    await refused('postgres://ada:hunter2@h/db?queue=a&queue=b', /one `queue=`/)
    const { code, stderr } = await runCli(['status', 'postgres://ada:hunter2@h/db'])
    assert.match(stderr, /^ptq: Expected .* `\?queue=`.*\n$/)
    assert.doesNotMatch(stderr, /hunter2/)
    assert.equal(code, 2)
    const flag = await runCli(['status', '--region', 'eu', 'postgres://ada:hunter2@h/db?queue=q'])
    assert.match(
      flag.stderr,
      /^ptq: Expected --region with a queue of sqs:\/\/ only, got postgres:\/\/…@h\/db\?queue=q\n$/,
    )
  })

  it('has an unknown or invalid option', async () => {
    const url = 'postgres://h/db?queue=q'
    const client = { query: async () => ({ rows: [] }) }
    assert.throws(() => new TaskQueue(url, { retryseconds: 1 }), /got `retryseconds`. Did you mean `retrySeconds`/)
    for (const [options, message] of [
      [{ pool: client }, /Expected `pool` to be a Pool of the package pg/],
      [{ client: {} }, /Expected `client` to be a connected Client of the package pg/],
      [{ client: { ...client, totalCount: 1 } }, /Expected `client` to be one connection .* and not a pool/],
      [
        { client, pool: { ...client, connect: async () => client } },
        /Expected `client` to be left out where `pool` is/,
      ],
      [{ retrySeconds: -1 }, /Expected `retrySeconds` to be a number of seconds of 0 or more/],
    ] as const) {
      await refused(url, message, options as TaskQueueOptions)
    }
  })

  it('has no server, or one that does not answer', async () => {
    const port = await portOfNobody()
    await refused(
      `postgres://ada:hunter2@127.0.0.1:${port}/db?queue=q`,
      /Can't open .*: no answer \(ECONNREFUSED\); check the host/,
    )
    await refused('postgres://ada:hunter2@nobody.invalid/db?queue=q', /no answer \((?:ENOTFOUND|EAI_AGAIN)\)/)
    const silent = createServer(() => undefined)
    await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
    const address = silent.address()
    assert.ok(typeof address === 'object' && address !== null)
    await refused(`postgres://ada:hunter2@127.0.0.1:${address.port}/db?queue=q`, /no answer \(.*time.*\)/i)
    silent.close()
  })

  it('has a server that is too old', () => {
    requireServerVersion(130_000, '13.0', 'q')
    assert.throws(
      () => requireServerVersion(120_022, '12.22', 'q'),
      /Can't open q: expected PostgreSQL 13 or newer, got 12\.22/,
    )
  })
})

describe('a PostgreSQL server', { skip: await noServer() }, () => {
  let server: PostgresServer
  before(async () => {
    server = await startServer()
  })
  after(() => server.close())

  it('with a wrong password, none, or another database gives an error of one sentence', async () => {
    const url = server.url('q')
    await refused(
      url.replace(PASSWORD, 'hunter2-wrong'),
      /refused the user name or password; check them in the URL, PGPASSWORD or ~\/\.pgpass/,
    )
    await refused(
      url.replace(`:${PASSWORD}`, ''),
      /asks for a password; put it into the URL, PGPASSWORD or ~\/\.pgpass/,
    )
    await refused(server.url('q', 'nowhere'), /database "nowhere" does not exist; create the database/)
    await refused(`${url}&sslmode=verify-full`, /the server has no SSL; leave sslmode out/)
    const { code, stderr } = await runCli(['status', url.replace(PASSWORD, 'hunter2-wrong')], {
      env: { PTQ_DEBUG: '1' },
    })
    assert.match(stderr, /refused the user name or password/)
    assert.doesNotMatch(stderr, /hunter2/)
    assert.equal(code, 1)
  })

  it('accepts the password from the environment, and it is printed nowhere', async () => {
    const url = server.url('env').replace(`:${PASSWORD}`, '')
    const run = (...args: string[]) => runCli(args, { env: { PGPASSWORD: PASSWORD } })
    const inserted = await runCli(['insert', server.url('env'), '-'], { input: '{"class": "A"}\n' })
    assert.equal(inserted.code, 0, inserted.stderr)
    assert.match(inserted.stdout, /Inserted 1 task into postgres:\/\/ada@127/)
    assert.match((await run('status', url)).stdout, /Enqueued: +1/)
    assert.doesNotMatch(inserted.stdout, /hunter2/)
  })

  it('without permission to create tables refuses an insert; with tables created by another account it accepts it', async () => {
    const admin = server.url('q')
    await runSql(admin, 'CREATE DATABASE shared')
    const inShared = server.url('q', 'shared')
    await runSql(inShared, "CREATE ROLE worker LOGIN PASSWORD 'hunter2-worker'")
    const worker = inShared.replace(`${USER}:${PASSWORD}`, 'worker:hunter2-worker')
    await refusedWith(async () => {
      await using tq = new TaskQueue(worker)
      await tq.insert({ class: 'A' })
    }, /permission denied for database shared; docs\/postgres\.md lists the rights/)
    const owner = await openQueue(inShared)
    await fill(owner, 1)
    await owner.close()
    await runSql(
      inShared,
      'GRANT USAGE ON SCHEMA ptq TO worker',
      'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ptq TO worker',
    )
    await using another = new TaskQueue(worker.replace(/queue=.*/, 'queue=another'))
    await another.insert({ class: 'A' })
    await using tq = new TaskQueue(worker)
    await tq.insert({ class: 'A' })
    const tasks = await tq.lease({ numTasks: 2 })
    await tq.delete(tasks, { tally: true })
    assert.deepEqual([await tq.enqueued(), await tq.completed()], [0, 2])
  })

  it('with a newer schema is refused; an empty schema of another account is filled', async () => {
    await runSql(server.url('q'), 'CREATE DATABASE newer')
    const url = server.url('q', 'newer')
    await runSql(url, 'CREATE SCHEMA ptq')
    const backend = await openQueue(url)
    assert.equal(await backend.exists?.(), false)
    await fill(backend, 1)
    await backend.close()
    await runSql(url, 'UPDATE ptq.version SET version = version + 1')
    await refused(
      url,
      /tables have version \d+, made by a newer ptq than this one, which knows up to version \d+: update ptq here/,
    )
  })

  it('that is a read-only replica refuses a write', async () => {
    await runSql(server.url('q'), 'CREATE DATABASE replica')
    const url = server.url('q', 'replica')
    const owner = await openQueue(url)
    await fill(owner, 1)
    await runSql(url, 'ALTER DATABASE replica SET default_transaction_read_only = on')
    await owner.close()
    const backend = await openQueue(url)
    assert.equal((await backend.counts()).enqueued, 1)
    await refusedWith(() => fill(backend, 1), /read-only replica; use the address of the primary/)
    await backend.close()
  })

  it('without a free connection is tried again, and reported after the time limit', async () => {
    await runSql(server.url('q'), "CREATE ROLE limited LOGIN PASSWORD 'hunter2-limited' CONNECTION LIMIT 1")
    await runSql(server.url('q'), 'CREATE DATABASE narrow')
    const url = server.url('q', 'narrow').replace(`${USER}:${PASSWORD}`, 'limited:hunter2-limited')
    const held = new pg.Client({ connectionString: withoutQueue(url) })
    await held.connect()
    await refused(url, /no connection free \(too many connections for role "limited"\); raise max_connections/, {
      retrySeconds: 0.1,
    })
    const waiting = openQueue(url)
    // Ends while the other is trying.
    await held.end()
    await (await waiting).close()
  })

  it("that can't store one message of a batch stores the others", async () => {
    const backend = await openQueue(server.url(newName()))
    const good = { id: '9b24daec-5b5a-460b-a3dc-7480e744439e', body: '{}' }
    const failures = await backend.insert(
      [{ id: 'not-a-uuid', body: '{}' }, good, { ...good, id: '9b24daec-5b5a-460b-a3dc-7480e744439f', body: 'a\0' }],
      { delaySeconds: 0 },
    )
    assert.deepEqual(
      failures.map(({ index, error }) => [index, error.name]),
      [
        [0, 'MessageRefusedError'],
        [2, 'MessageRefusedError'],
      ],
    )
    assert.equal((await backend.counts()).enqueued, 1)
    await backend.close()
  })
})

async function portOfNobody(): Promise<number> {
  const probe = createServer()
  await new Promise<void>(resolve => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise(resolve => probe.close(resolve))
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}
