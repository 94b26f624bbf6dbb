/** Clients of the user's own, and the connections of ours. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import { partial, TaskQueue } from 'ptq'
import { opener } from '#ptq/backends/redis/index.js'
import { noServer, type RedisServer, startServer } from './server.js'
import { run, runs } from './tasks.js'

const skip = noServer
let server: RedisServer

before(async () => {
  if (!skip) server = await startServer()
})
after(async () => {
  if (!skip) await server.stop()
})

const elsewhere = 'redis://nowhere.invalid:1/5?queue=own'

test('a client of the user is used for everything, and stays open', { skip }, async () => {
  const client = new Redis({ port: server.port })
  const tq = new TaskQueue(elsewhere, { client, progress: false })
  const waiting = tq.lease({ waitSeconds: 30 })
  await tq.insert(partial(run, 1))
  const [task] = await waiting
  assert.ok(task)
  await tq.delete(task, { tally: true })
  assert.equal(await tq.completed(), 1)
  await tq.close()
  assert.equal(await client.ping(), 'PONG')
  await client.quit()
  // Nothing of ours is left connected.
  const admin = new Redis({ port: server.port })
  while (
    String(await admin.client('LIST'))
      .trim()
      .split('\n').length > 1
  )
    await sleep(5)
  await admin.quit()
})

test('a cluster is drained by workers; dead letters and moves go from node to node', { skip }, async () => {
  const node = await startServer(['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'])
  const admin = new Redis({ port: node.port })
  await admin.cluster('ADDSLOTSRANGE', 0, 16_383)
  while (!String(await admin.cluster('INFO')).includes('cluster_state:ok')) await sleep(5)
  const client = new Cluster([{ host: '127.0.0.1', port: node.port }])
  const tq = new TaskQueue(elsewhere, { client, progress: false })
  await tq.insert(Array.from({ length: 20 }, (_, n) => partial(run, 100 + n)))
  assert.equal(await tq.poll({ parallel: 0, untilEmpty: true, tally: true }), 20)
  assert.equal(runs.get(119), 1)
  await tq.insert(partial(run, 1))
  const other = new TaskQueue(elsewhere.replace('own', 'other'), { client, progress: false })
  assert.deepEqual(await tq.moveTo(other), { moved: 1, uncertain: 0 })
  assert.equal(await other.enqueued(), 1)
  assert.equal(await tq.failed(), 0)
  await tq.close()
  await other.close()
  client.disconnect()
  await admin.quit()
  await node.stop()
})

test('an insert wakes one idle worker, and as many as there are tasks', { skip }, async () => {
  const admin = new Redis({ port: server.port })
  const url = server.url('idle')
  const idle = Array.from({ length: 4 }, () => new TaskQueue(url, { progress: false }))
  const taken = new Set<number>()
  const waits = idle.map(async (tq, n) => {
    const tasks = await tq.lease({ waitSeconds: 60 })
    if (tasks.length > 0) taken.add(n)
  })
  const blocked = async () => Number(/blocked_clients:(\d+)/.exec(await admin.info('clients'))?.[1])
  const scripts = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0)
  const inserter = new TaskQueue(url, { progress: false })
  await inserter.insert(partial(run, 1), { delaySeconds: 600, skipInsertCounter: true })
  while ((await blocked()) < 4) await sleep(1)
  const before = await scripts()
  await inserter.insert(partial(run, 2), { skipInsertCounter: true })
  while (taken.size === 0) await sleep(1)
  // The insert, and the lease of one: the others were left asleep, unless one has looked by itself since (every five seconds).
  assert.ok((await scripts()) - before <= 3, `${(await scripts()) - before} scripts ran`)
  await inserter.insert([3, 4, 5].map(n => partial(run, n)))
  await Promise.all(waits)
  assert.equal(taken.size, 4)
  for (const tq of [...idle, inserter]) await tq.close()
  await admin.quit()
})

test('a wait for messages ends when its queue is closed, and finds none', { skip }, async () => {
  const path = `127.0.0.1:${server.port}/0?queue=closed`
  const backend = await opener.open({ protocol: 'redis', path }, {})
  const admin = new Redis({ port: server.port })
  const waiting = backend.lease({ seconds: 60, max: 1, waitSeconds: 600 })
  while (!String(await admin.client('LIST')).includes('cmd=bzpopmin')) await sleep(10)
  await backend.close()
  assert.deepEqual(await waiting, [])
  await admin.quit()
})
