/** Bad input is refused: each in one sentence, without a password. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import { TaskQueue } from 'ptq'
import { opener } from '#ptq/backends/redis/index.js'
import { factsFrom } from '#ptq/backends/redis/server.js'
import { freePort, noServer, type RedisServer, startServer } from './server.js'

const skip = noServer
const password = 'Sesame-4711'
let server: RedisServer

before(async () => {
  if (!skip) server = await startServer(['--requirepass', password])
})
after(async () => {
  if (!skip) await server.stop()
})

/** Opens a queue by its URL; resolves with the message of the error. */
async function refusal(url: string, options = {}): Promise<string> {
  const tq = new TaskQueue(url, { progress: false, ...options })
  try {
    await tq.enqueued()
  } catch (error) {
    // Including its causes and their properties.
    assert.ok(!inspect(error, { depth: 10, showHidden: true }).includes(password.slice(0, 6)))
    return String(error)
  } finally {
    await tq.close()
  }
  throw new assert.AssertionError({ message: `Expected ${url} to be refused` })
}

test('URLs without a valid queue or database are refused by the constructor', () => {
  for (const [url, expected] of [
    ['redis://localhost:6379/0', /names the queue on the server with `\?queue=`, such as `redis:/],
    ['redis://localhost/0?queue=', /one `queue=`, a name of up to 100 letters/],
    ['valkey://localhost/0?queue={jobs}', /a name of up to 100 letters/],
    [`rediss://:${password}@localhost/0?queue=a b`, /a name of up to 100 letters/],
    ['redis://localhost/0?queue=jobs&queue=more', /one `queue=`/],
  ] as const) {
    assert.throws(
      () => new TaskQueue(url),
      (error: Error) => {
        assert.match(error.message, expected)
        assert.ok(!error.message.includes(password))
        return true
      },
    )
  }
})

test('an invalid database number and an unknown parameter are refused', async () => {
  assert.match(
    await refusal('redis://localhost/jobs?queue=jobs'),
    /Expected `url` to be one with the number of a database/,
  )
  assert.match(
    await refusal('redis://localhost/0?queue=jobs&family=6'),
    /without other parameters than `queue`, got `'family'`/,
  )
})

test('options that a Redis queue does not have are refused', async () => {
  const url = 'redis://localhost/0?queue=jobs'
  assert.throws(() => new TaskQueue(url, { region: 'here' }), /Expected options of a redis:\/\/ queue .*, got `region`/)
  assert.match(await refusal(url, { client: { call: 'no' } }), /Expected `client` to be a client of ioredis/)
  assert.match(
    await refusal(url, { retrySeconds: -1 }),
    /Expected `retrySeconds` to be a number of seconds from 0 to 3600/,
  )
})

test('a missing server and a server that is not Redis give different errors', async () => {
  const port = await freePort()
  assert.match(
    await refusal(`redis://:${password}@127.0.0.1:${port}/0?queue=jobs`),
    new RegExp(`No Redis server answers at redis://127\\.0\\.0\\.1:${port}/0 \\(ECONNREFUSED\\): check the address`),
  )
  const web = createServer((_, response) => response.end('hello')).listen(0, '127.0.0.1')
  await once(web, 'listening')
  const address = web.address()
  const webPort = typeof address === 'object' && address !== null ? address.port : 0
  assert.match(await refusal(`redis://127.0.0.1:${webPort}/0?queue=jobs`), /is no Redis server/)
  web.close()
})

test('a wrong password, none, and a wrong database give different errors; the right password opens the queue', {
  skip,
}, async () => {
  const at = `127.0.0.1:${server.port}/0?queue=jobs`
  assert.match(await refusal(`redis://:${password}x@${at}`), /refused the user name or password \(WRONGPASS/)
  assert.match(await refusal(`redis://someone:${password}@${at}`), /refused the user name or password/)
  assert.match(await refusal(`redis://${at}`), /it wants a password: .* REDISCLI_AUTH/)
  const right = `redis://:${password}@${at}`
  assert.match(await refusal(right.replace('/0?', '/99?')), /it has no database of that number/)

  await using tq = new TaskQueue(right, { progress: false })
  assert.equal(await tq.enqueued(), 0)
  assert.ok(!tq.url.includes(password))
  // The dead-letter queue gets the password, too.
  assert.equal(await tq.failed(), 0)
  process.env.REDISCLI_AUTH = password
  try {
    await using other = new TaskQueue(`redis://${at}`, { progress: false })
    assert.equal(await other.enqueued(), 0)
  } finally {
    delete process.env.REDISCLI_AUTH
  }
})

test('a user without permissions gets an error with the missing permission', { skip }, async () => {
  const admin = new Redis({ port: server.port, password })
  await admin.call('ACL', 'SETUSER', 'reader', 'on', '>secret-1', '~*', '+info', '+hget')
  await admin.quit()
  assert.match(
    await refusal(`redis://reader:secret-1@127.0.0.1:${server.port}/0?queue=jobs`),
    /lacks a permission, see "Permissions" in docs\/redis\.md \(NOPERM .*evalsha/,
  )
})

test('the permissions in the docs are enough for every verb', { skip }, async () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/redis.md'), 'utf8')
  const [, rules = ''] = /^ACL SETUSER worker (.*)$/m.exec(page) ?? []
  const admin = new Redis({ port: server.port, password })
  await admin.call('ACL', 'SETUSER', 'worker', ...rules.split(' '))
  await admin.quit()
  const open = (queue: string) => {
    const path = `worker@127.0.0.1:${server.port}/0?queue=${queue}`
    return opener.open({ protocol: 'redis', path, password: 'password' }, {})
  }
  const [jobs, letters] = [await open('jobs'), await open('jobs/failed')]
  await jobs.insert(
    [1, 2, 3].map(n => ({ id: `00000000-0000-4000-8000-00000000000${n}`, body: 'x' })),
    { delaySeconds: 0.1 },
  )
  const [one, two] = await jobs.lease({ seconds: 60, max: 2, waitSeconds: 30 })
  assert.ok(one && two)
  await jobs.renew([one], 60)
  await jobs.runsAlone?.(one)
  await jobs.release([one], { delaySeconds: 0 })
  await jobs.quarantine?.(two, 'no task')
  for await (const message of jobs.list?.() ?? []) await jobs.failures?.(message)
  const [rest] = await jobs.lease({ seconds: 60, max: 1, waitSeconds: 0 })
  assert.ok(rest)
  await jobs.delete([rest], { tally: true })
  await jobs.addInserted?.(1)
  await jobs.releaseAll?.()
  for await (const _ of jobs.moveTo?.(letters, { signal: new AbortController().signal }) ?? []);
  assert.equal(await jobs.isSame?.(letters), false)
  assert.equal(await jobs.isSame?.(jobs), true)
  const again = await open('jobs')
  assert.equal(await jobs.isSame?.(again), true)
  await again.close()
  const { run } = (await jobs.uploads?.begin('u', { seed: '', sequence: '', total: 1 })) ?? { run: '' }
  await jobs.uploads?.insert(run, 0, [{ id: '00000000-0000-4000-8000-000000000009', body: 'x' }], { delaySeconds: 0 })
  await jobs.uploads?.finish(run)
  assert.deepEqual(await jobs.workers?.(), [])
  assert.equal((await jobs.counts()).enqueued, 1)
  await jobs.rezero?.()
  await jobs.purge({ native: false })
  assert.equal(await jobs.exists?.(), true)
  await jobs.close()
  await letters.close()
})

test('a server that evicts keys is refused', { skip }, async () => {
  const evicting = await startServer(['--maxmemory-policy', 'allkeys-lru'])
  assert.match(await refusal(evicting.url('jobs')), /got maxmemory-policy allkeys-lru: with it, tasks vanish/)
  await evicting.stop()
})

test('a version that is too old is refused; Valkey is recognised', () => {
  assert.throws(
    () => factsFrom('redis_version:5.0.14\r\n', 'redis://host/0'),
    /Expected Redis 6\.2 or later, or Valkey, .* got version 5\.0\.14/,
  )
  assert.throws(() => factsFrom('hello', 'redis://host/0'), /got version none/)
  const valkey = '# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.0\r\nrun_id:abc\r\n'
  assert.deepEqual(factsFrom(valkey, 'valkey://host/0'), { runId: 'abc', isCluster: false })
})

test('a queue of a newer ptq, and keys of something else, are refused', { skip }, async () => {
  const admin = new Redis({ port: server.port, password })
  await admin.hset('ptq:{newer}:meta', 'layout', 2)
  await admin.set('ptq:{foreign}:meta', 'x')
  await admin.quit()
  const url = (queue: string) => `redis://:${password}@127.0.0.1:${server.port}/0?queue=${queue}`
  assert.match(await refusal(url('newer')), /was made by a newer ptq \(layout 2, this one knows 1\): update this ptq/)
  assert.match(await refusal(url('foreign')), /ptq:\{foreign\}:meta was not made by ptq: choose another name/)
})

test('a read-only replica can be read; writes are refused', { skip }, async () => {
  const primary = await startServer()
  const replica = await startServer(['--replicaof', '127.0.0.1', String(primary.port)])
  const backend = await opener.open(
    { protocol: 'redis', path: `127.0.0.1:${replica.port}/0?queue=jobs` },
    { retrySeconds: 0 },
  )
  assert.equal((await backend.counts()).enqueued, 0)
  await assert.rejects(
    backend.insert([{ id: 'a', body: '' }], { delaySeconds: 0 }),
    /Could not insert into redis:.*: it is a read-only replica: name the primary \(READONLY/,
  )
  await backend.close()
  await replica.stop()
  await primary.stop()
})

test('a server whose memory is full accepts no tasks, and lets stored ones be finished', { skip }, async () => {
  const full = await startServer()
  const admin = new Redis({ port: full.port })
  const open = () => opener.open({ protocol: 'redis', path: `127.0.0.1:${full.port}/0?queue=jobs` }, {})
  const backend = await open()
  const bodies = Array.from({ length: 6 }, (_, n) => ({ id: `id-${n}`, body: 'x' }))
  await backend.insert(bodies, { delaySeconds: 0 })
  await backend.lease({ seconds: 0.001, max: 1, waitSeconds: 0 })
  await admin.config('SET', 'maxmemory', '1')
  await assert.rejects(
    backend.insert([{ id: 'more', body: 'x' }], { delaySeconds: 0 }),
    /its memory is full \(maxmemory\)/,
  )
  const lease = () => backend.lease({ seconds: 600, max: 10, waitSeconds: 1 })
  const leases = await lease()
  while (leases.length < 6) leases.push(...(await lease()))
  const [renewed, released, ...rest] = leases
  assert.ok(renewed && released)
  assert.deepEqual(await backend.renew([renewed], 600), [])
  assert.deepEqual(await backend.release([released], { delaySeconds: 0 }), [])
  assert.deepEqual(await backend.delete(rest, { tally: true }), [])
  assert.equal(await backend.releaseAll?.(), 1)
  const { enqueued, completed, leased } = await backend.counts()
  assert.deepEqual({ enqueued, completed, leased }, { enqueued: 2, completed: 4, leased: 0 })
  await backend.close()
  await admin.quit()
  await full.stop()
})
