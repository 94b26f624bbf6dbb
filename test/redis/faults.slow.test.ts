/** Deaths of workers and of the server. */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { partial, TaskQueue } from 'ptq'
import { opener } from '#ptq/backends/redis/index.js'
import { noServer, startServer } from './server.js'
import { run, runs } from './tasks.js'

const skip = noServer
const durable = ['--appendonly', 'yes', '--appendfsync', 'always'] as const

test('a worker that is killed with 4,096 leases loses none; each is another attempt after one death', {
  skip,
}, async () => {
  const count = 4096
  const server = await startServer()
  const url = server.url('killed')
  await using tq = new TaskQueue(url, { progress: false })
  await tq.insert(Array.from({ length: count }, (_, n) => partial(run, n)))
  const worker = fork(join(import.meta.dirname, 'leaser-process.js'), [url, String(count)])
  assert.deepEqual(await once(worker, 'message'), [count, undefined])
  const ended = once(worker, 'exit')
  worker.kill('SIGKILL')
  await ended
  const ids = new Set<string>()
  while (ids.size < count) {
    const tasks = await tq.lease({ numTasks: count, waitSeconds: 30 })
    for (const task of tasks) {
      assert.deepEqual([task.attempt, task.deaths], [2, 1])
      ids.add(task.id)
    }
    await tq.delete(tasks, { tally: true })
  }
  assert.deepEqual([await tq.enqueued(), await tq.leased(), await tq.completed()], [0, 0, count])
  await server.stop()
})

test('a server that is killed again and again under workers loses no task, runs none twice, and counts exactly', {
  skip,
}, async () => {
  const count = 3000
  const server = await startServer(durable)
  const url = server.url('restarted')
  const inserter = new TaskQueue(url, { progress: false })
  const first = Array.from({ length: count / 2 }, (_, n) => partial(run, n))
  assert.equal(await inserter.insert(first), count / 2)
  const workers = Array.from({ length: 8 }, () => new TaskQueue(url, { progress: false }))
  const stop = new AbortController()
  const polling = workers.map(tq => tq.poll({ parallel: 0, tally: true, leaseSeconds: 600, signal: stop.signal }))
  const inserting = (async () => {
    for (let n = count / 2; n < count; n += 50) {
      await inserter.insert(Array.from({ length: 50 }, (_, i) => partial(run, n + i)))
    }
  })()
  for (const share of [0.1, 0.3, 0.5, 0.7]) {
    while (runs.size < count * share) await new Promise(resolve => setTimeout(resolve, 5))
    await server.kill()
    await server.restart()
  }
  await inserting
  while ((await inserter.completed()) < count) await new Promise(resolve => setTimeout(resolve, 20))
  stop.abort()
  await Promise.all(polling)
  assert.equal(runs.size, count)
  assert.deepEqual(
    [...runs].filter(([, times]) => times !== 1),
    [],
  )
  const { inserted, completed, enqueued, leased } = await inserter.status()
  assert.deepEqual(
    { inserted, completed, enqueued, leased },
    { inserted: count, completed: count, enqueued: 0, leased: 0 },
  )
  for (const tq of [...workers, inserter]) await tq.close()
  await server.stop()
})

test('a server that is silent is given up after its time-out, and used again when it answers', { skip }, async () => {
  const server = await startServer()
  const path = `127.0.0.1:${server.port}/0?queue=silent`
  const backend = await opener.open({ protocol: 'redis', path }, { retrySeconds: 0 })
  await backend.insert([{ id: 'a', body: 'x' }], { delaySeconds: 0 })
  server.process.kill('SIGSTOP')
  await assert.rejects(backend.counts(), /Could not count redis:.*: the server does not answer/)
  server.process.kill('SIGCONT')
  const later = await opener.open({ protocol: 'redis', path }, {})
  assert.equal((await later.counts()).enqueued, 1)
  await later.close()
  await backend.close()
  await server.stop()
})
