/** Counts of packs in queues on a server: each verb changes them with the messages. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { TaskQueue } from 'ptq'
import type { Backend } from '#ptq/backend/backend.js'
import { packId, tasksIn } from '#ptq/backend/pack-ids.js'
import { parseQueueUrl } from '#ptq/backend/queue-url.js'
import { opener as openPostgres } from '#ptq/backends/postgres/index.js'
import { opener as openRedis } from '#ptq/backends/redis/index.js'
import { noServer as noPostgres, startServer as startPostgres } from '../../bench/postgres/server.js'
import { noServer as noRedis, startServer as startRedis } from '../redis/server.js'

const parse = (url: string) => parseQueueUrl(url, { cwd: '/', home: '/' })

async function numbers(backend: Backend): Promise<readonly (number | undefined)[]> {
  const { enqueued, messages, leased, delayed } = await backend.counts()
  return [enqueued, messages, leased, delayed]
}

async function countTasks(open: (queue: string) => Promise<Backend>, url: (queue: string) => string): Promise<void> {
  const [backend, other] = [await open('packs'), await open('others')]
  const message = (tasks: number) => ({ id: packId(randomUUID(), tasks), body: '{}' })
  const packs = [message(1_000_000_000), message(20), message(1)]
  await backend.insert(packs, { delaySeconds: 0 })
  await backend.insert(packs, { delaySeconds: 0 })
  await backend.insert([message(5), message(1)], { delaySeconds: 600 })
  assert.deepEqual(await numbers(backend), [1_000_000_027, 5, 0, 6], 'the same messages count once')
  const [first, ...rest] = await backend.lease({ seconds: 600, max: 3, waitSeconds: 0 })
  assert.ok(first)
  assert.deepEqual(await numbers(backend), [1_000_000_027, 5, 1_000_000_021, 6])
  await backend.rezero?.()
  assert.deepEqual(await numbers(backend), [1_000_000_027, 5, 1_000_000_021, 6], 'a rezero changes other counts')
  await backend.release(rest, { delaySeconds: 0 })
  const kept = packs.filter(({ id }) => id !== first.id)
  await backend.quarantine?.(first, 'Expected a task')
  const { quarantined } = await backend.counts()
  assert.equal(quarantined, 1)
  const free = tasksIn(kept)
  assert.deepEqual(await numbers(backend), [free + 6, 4, 0, 6])
  await other.insert(kept.slice(0, 1), { delaySeconds: 0 })
  let moved = 0
  for await (const tasks of backend.moveTo?.(other, { signal: new AbortController().signal }) ?? []) moved += tasks
  assert.equal(moved, free)
  assert.deepEqual(await numbers(backend), [6, 2, 0, 6])
  assert.deepEqual((await numbers(other)).slice(0, 2), [free, 2], 'what was there already counts once')
  await backend.purge({ native: false })
  assert.deepEqual(await numbers(backend), [0, undefined, 0, 0])
  await using tq = new TaskQueue(url('packs'), { progress: false })
  const tasks = Array.from({ length: 25 }, (_, n) => ({ class: 'Any', n }))
  await tq.insert(tasks, { pack: 10, resume: 'upload' })
  assert.deepEqual(await numbers(backend), [25, 3, 0, 0])
  for (const each of [backend, other]) await each.close()
}

test('a queue in PostgreSQL counts the tasks of packs through every verb', { skip: await noPostgres() }, async () => {
  const server = await startPostgres()
  await countTasks(queue => openPostgres.open(parse(server.url(queue)), {}), server.url)
  await server.close()
})

test('a queue in Redis counts the tasks of packs through every verb', { skip: noRedis }, async () => {
  const server = await startRedis()
  await countTasks(queue => openRedis.open(parse(server.url(queue)), {}), server.url)
  await server.stop()
})
