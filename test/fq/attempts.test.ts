import assert from 'node:assert/strict'
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { LeaseLostError } from 'ptq'
import { inQueue, openQueue } from './folder.js'
import { assertLost, failure, insert, leaseNow, leaseOne, namesIn } from './messages.js'
import { settableClock } from './test-files.js'

test('an expired lease counts as an attempt, a renewal does not', () => {
  const { clock, options } = settableClock()
  return inQueue(async (queue, root) => {
    await insert(queue, 1)
    for (let attempt = 1; attempt <= 4; attempt++) {
      const lease = await leaseOne(queue, 60)
      assert.equal(lease.attempt, attempt)
      for (let renewal = 0; renewal < 3; renewal++) {
        clock.seconds += 30
        assert.deepEqual(await queue.renew([lease], 60), [])
      }
      assert.deepEqual(await leaseNow(queue), [])
      clock.seconds += 62
    }
    const lease = await leaseOne(queue)
    assert.equal(lease.attempt, 5)
    assert.deepEqual(await queue.delete([lease], { tally: true }), [])
    assert.deepEqual(namesIn(root, 'movement'), [])
  }, options)
})

test('a release with a delay and without a failure counts no attempt, and the task is listed as delayed', () => {
  const { clock, options } = settableClock()
  return inQueue(async queue => {
    await insert(queue, 1)
    for (let turn = 0; turn < 3; turn++) {
      const lease = await leaseOne(queue)
      assert.equal(lease.attempt, 1)
      assert.deepEqual(await queue.release([lease], { delaySeconds: 30 }), [])
      const { delayed, leased } = await queue.counts()
      assert.deepEqual({ delayed, leased }, { delayed: 1, leased: 0 })
      assert.deepEqual(await leaseNow(queue), [])
      assert.equal(await queue.releaseAll?.(), 0)
      clock.seconds += 32
    }
    await leaseOne(queue)
    clock.seconds += 62
    assert.equal((await leaseOne(queue)).attempt, 2)
  }, options)
})

test('a failure counts as an attempt, is stored with the message, and delays the task', () => {
  const { clock, options } = settableClock()
  return inQueue(async (queue, root) => {
    const [sent] = await insert(queue, 1)
    assert.ok(sent)
    const names = new Set<string>()
    for (const [attempt, delaySeconds] of [0, 0, 0, 10, 10].entries()) {
      const lease = await leaseOne(queue)
      assert.equal(lease.attempt, attempt + 1)
      assert.deepEqual(await queue.release([lease], { delaySeconds, failure: failure(attempt + 1) }), [])
      names.add(namesIn(root, 'queue').join())
      assert.equal(names.size, attempt + 1, 'a name is never used again, also within one second')
      await assertLost(queue, lease)
      const { delayed, leased } = await queue.counts()
      assert.deepEqual({ delayed, leased }, { delayed: delaySeconds === 0 ? 0 : 1, leased: 0 })
      clock.seconds += delaySeconds === 0 ? 0 : delaySeconds + 2
    }
    assert.deepEqual(await queue.failures?.(sent), [1, 2, 3, 4, 5].map(failure))
    assert.deepEqual(await queue.delete([await leaseOne(queue)], { tally: true }), [])
    for (const folder of ['queue', 'movement', 'failures']) assert.deepEqual(namesIn(root, folder), [])
    assert.deepEqual(await queue.failures?.(sent), [])
  }, options)
})

test('a delayed task is available after its delay, and its first lease is the first attempt', () => {
  const { clock, options } = settableClock()
  return inQueue(async (queue, root) => {
    const [sent] = await insert(queue, 1, 9.5)
    const name = `${clock.seconds + 10}--${sent?.id}.json`
    assert.deepEqual(namesIn(root, 'queue'), [name])
    assert.equal(readFileSync(join(root, 'movement', sent?.id ?? ''), 'utf8'), `${name}\n${name}\n`)
    const { delayed, leased, enqueued } = await queue.counts()
    assert.deepEqual({ delayed, leased, enqueued }, { delayed: 1, leased: 0, enqueued: 1 })
    assert.equal(await queue.releaseAll?.(), 0)
    assert.deepEqual(await leaseNow(queue), [])
    clock.seconds += 10
    assert.equal((await leaseOne(queue)).attempt, 1)
  }, options)
})

test('releaseAll ends leases only, counts no attempt, and the former holder cannot change the next lease', () => {
  const { options } = settableClock()
  return inQueue(async (queue, root) => {
    await insert(queue, 20)
    await insert(queue, 3, 60)
    const stale = await leaseNow(queue, 20)
    // All in the same second and for the same time: only the names distinguish the leases.
    for (let time = 1; time <= 5; time++) {
      assert.equal(await queue.releaseAll?.(), 20)
      await using other = await openQueue(root, options)
      const leases = await leaseNow(other.queue, 100)
      assert.deepEqual(
        leases.map(lease => lease.attempt),
        Array(20).fill(1),
      )
      if (time === 1) {
        const lost = await queue.delete(stale, { tally: true })
        assert.equal(lost.length, 20)
        assert.ok(lost.every(({ error }) => error instanceof LeaseLostError))
      }
    }
    const { enqueued, leased, delayed, completed } = await queue.counts()
    assert.deepEqual({ enqueued, leased, delayed, completed }, { enqueued: 23, leased: 20, delayed: 3, completed: 0 })
  }, options)
})

test('after releaseAll a former holder cannot change the next lease either while it is renewed or released', () => {
  const { options } = settableClock()
  return inQueue(async (queue, root) => {
    await insert(queue, 1)
    const stale = await leaseOne(queue, 60)
    await using other = await openQueue(root, options)
    assert.equal(await other.queue.releaseAll?.(), 1)
    const lease = await leaseOne(other.queue, 60)
    assert.deepEqual(await other.queue.renew([lease], 60), [])
    assert.deepEqual(await other.queue.renew([lease], 60), [])
    await assertLost(queue, stale)
    assert.deepEqual(await other.queue.release([lease], { delaySeconds: 0 }), [])
    await assertLost(queue, stale)
    const next = await leaseOne(other.queue, 60)
    assert.equal(next.attempt, 1)
    await assertLost(queue, stale)
    assert.deepEqual(await other.queue.delete([next], { tally: true }), [])
  }, options)
})

test('a holder whose lease was taken over by another holder changes nothing', () => {
  const { clock, options } = settableClock()
  return inQueue(async (queue, root) => {
    await insert(queue, 1)
    const stale = await leaseOne(queue, 10)
    clock.seconds += 12
    await using other = await openQueue(root, options)
    const lease = await leaseOne(other.queue, 10)
    await assertLost(queue, stale)
    assert.deepEqual(await other.queue.renew([lease], 20), [])
    assert.deepEqual(await other.queue.delete([lease], { tally: true }), [])
    assert.equal((await queue.counts()).completed, 1)
  }, options)
})

test('a holder whose lease expired keeps it while nobody else has leased the task', () => {
  const { clock, options } = settableClock()
  return inQueue(async queue => {
    await insert(queue, 1)
    const lease = await leaseOne(queue, 10)
    clock.seconds += 100
    assert.deepEqual(await queue.renew([lease], 10), [])
    assert.deepEqual(await queue.delete([lease], { tally: false }), [])
  }, options)
})

test('a batch reports lost leases by their index and processes the others', () =>
  inQueue(async queue => {
    await insert(queue, 3)
    const leases = await leaseNow(queue, 3)
    await queue.delete(leases.slice(1, 2), { tally: true })
    const failures = await queue.delete(leases, { tally: true })
    assert.deepEqual(
      failures.map(({ index }) => index),
      [1],
    )
    assert.equal((await queue.counts()).completed, 3)
  }))

test('a record of attempts that was cut off in the middle of a line is continued', () => {
  const { clock, options } = settableClock()
  return inQueue(async (queue, root) => {
    const [sent] = await insert(queue, 1)
    for (let attempt = 1; attempt <= 2; attempt++) {
      await leaseOne(queue, 1)
      clock.seconds += 10
    }
    appendFileSync(join(root, 'movement', sent?.id ?? ''), '18000')
    assert.equal((await leaseOne(queue, 1)).attempt, 4)
    clock.seconds += 10
    assert.equal((await leaseOne(queue, 1)).attempt, 5)
  }, options)
})
