import assert from 'node:assert/strict'
import { appendFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Lease } from '#ptq/backend/messages.js'
import { inFolder, inQueue, openQueue } from './folder.js'
import { assertLost, failure, insert, leaseNow, leaseOne, namesIn } from './messages.js'
import { interfered, settableClock, systemError } from './test-files.js'

function past({ attempt, deaths = 0, deathsAlone = 0 }: Lease) {
  return { attempt, deaths, deathsAlone }
}

test('a failure record that was cut off because its writer died damages no other record, and its back-off is a delay', () => {
  const { clock, options } = settableClock()
  return inQueue(async (queue, root) => {
    const [sent] = await insert(queue, 1)
    assert.ok(sent)
    await queue.release([await leaseOne(queue)], { delaySeconds: 0, failure: failure(1) })
    await leaseOne(queue, 10)
    appendFileSync(join(root, 'failures', sent.id), '{"attempt":2,"reason":"Err')
    clock.seconds += 12
    const third = await leaseOne(queue)
    assert.deepEqual(past(third), { attempt: 3, deaths: 1, deathsAlone: 0 })
    await queue.release([third], { delaySeconds: 50, failure: failure(3) })
    const { delayed, leased } = await queue.counts()
    assert.deepEqual({ delayed, leased }, { delayed: 1, leased: 0 })
    assert.deepEqual(await queue.failures?.(sent), [failure(1), failure(3)])
    clock.seconds += 60
    assert.deepEqual(past(await leaseOne(queue)), { attempt: 4, deaths: 1, deathsAlone: 0 })
  }, options)
})

test('a failure that is written twice because its rename failed counts as one failed attempt', () => {
  const { clock, options } = settableClock()
  return inQueue(async (queue, root) => {
    const [sent] = await insert(queue, 1)
    await leaseOne(queue, 10)
    clock.seconds += 12
    await queue.release([await leaseOne(queue)], { delaySeconds: 0, failure: failure(2) })
    appendFileSync(join(root, 'failures', sent?.id ?? ''), `${JSON.stringify({ ...failure(2), until: 1 })}\n`)
    assert.deepEqual(past(await leaseOne(queue)), { attempt: 3, deaths: 1, deathsAlone: 0 })
  }, options)
})

test('a record that another host removed, and that this host still sees, is written all the same', () =>
  inFolder(async folder => {
    const { clock, options } = settableClock()
    const root = join(folder, 'queue')
    const removed = new Set<string>()
    const refuse = (call: string, path: string) => {
      if (call === 'write' && removed.has(path)) throw systemError('ENOENT', path)
    }
    const fileSystem = interfered({
      clockMs: options.hostNowMs,
      blocking: refuse,
      pooled: async (call, path) => refuse(call, path),
    })
    await using opened = await openQueue(root, { ...options, fileSystem })
    const { queue } = opened
    const [sent] = await insert(queue, 1)
    const id = sent?.id ?? ''
    removed.add(join(root, 'movement', id)).add(join(root, 'failures', id))
    await leaseOne(queue, 10)
    clock.seconds += 12
    const second = await leaseOne(queue)
    assert.deepEqual(past(second), { attempt: 2, deaths: 1, deathsAlone: 0 })
    await queue.runsAlone?.(second)
    assert.deepEqual(await queue.release([second], { delaySeconds: 0, failure: failure(2) }), [])
    const third = await leaseOne(queue)
    assert.deepEqual(past(third), { attempt: 3, deaths: 1, deathsAlone: 0 })
    assert.deepEqual(await queue.delete([third], { tally: true }), [])
    for (const part of ['queue', 'movement', 'failures', 'staging']) assert.deepEqual(namesIn(root, part), [], part)
  }))

test('records of a task that runs alone leave no files behind, and a former holder cannot write them', () => {
  const { clock, options } = settableClock()
  return inQueue(async (queue, root) => {
    await insert(queue, 1)
    await leaseOne(queue, 10)
    clock.seconds += 12
    const stale = await leaseOne(queue, 10)
    clock.seconds += 12
    await using other = await openQueue(root, options)
    const lease = await leaseOne(other.queue)
    await assert.rejects(async () => queue.runsAlone?.(stale), { name: 'LeaseLostError' })
    await assertLost(queue, stale)
    await other.queue.runsAlone?.(lease)
    assert.deepEqual(await leaseNow(queue), [])
    assert.deepEqual(await other.queue.delete([lease], { tally: true }), [])
    for (const part of readdirSync(root)) {
      if (!['completions', 'insertions'].includes(part)) assert.deepEqual(namesIn(root, part), [], part)
    }
  }, options)
})
