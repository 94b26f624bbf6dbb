import assert from 'node:assert/strict'
import { readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Backend } from '#ptq/backend/backend.js'
import { inFolder, inQueue, openQueue } from './folder.js'
import { assertLost, failure, insert, leaseOne, namesIn } from './messages.js'
import { settableClock } from './test-files.js'

test('a release without a failure restores the name of a new task, counts nothing and writes no record', () =>
  inQueue(async (queue, root) => {
    await insert(queue, 1)
    const fresh = namesIn(root, 'queue')
    for (let turn = 0; turn < 3; turn++) {
      const lease = await leaseOne(queue)
      assert.equal(lease.attempt, 1)
      assert.deepEqual(await queue.release([lease], { delaySeconds: 0 }), [])
      assert.deepEqual(namesIn(root, 'queue'), fresh)
      await assertLost(queue, lease)
    }
    assert.deepEqual(namesIn(root, 'movement'), [])
  }))

test('a task that was leased after an earlier lease expired, and released, does not return to its former holder', () => {
  const { clock, options } = settableClock()
  return inQueue(async (queue, root) => {
    const [sent] = await insert(queue, 1)
    const stale = await leaseOne(queue, 60)
    const record = join(root, 'movement', sent?.id ?? '')
    await using other = await openQueue(root, options)
    for (const seconds of [62, 0, 0]) {
      clock.seconds += seconds
      const lease = await leaseOne(other.queue)
      assert.equal(lease.attempt, 2)
      assert.deepEqual(await other.queue.release([lease], { delaySeconds: 0 }), [])
      await assertLost(other.queue, lease)
      await assertLost(queue, stale)
      assert.equal((await queue.counts()).leased, 0)
      assert.match(namesIn(root, 'queue').join(), /^[23]--/)
      assert.equal(readFileSync(record, 'utf8').trimEnd().split('\n').length, 2)
    }
    // Held for good, and left: from here on it counts.
    await leaseOne(other.queue, 60)
    clock.seconds += 62
    const lease = await leaseOne(queue)
    assert.equal(lease.attempt, 3)
    assert.deepEqual(await queue.delete([lease], { tally: true }), [])
    for (const part of ['queue', 'movement', 'staging']) assert.deepEqual(namesIn(root, part), [])
  }, options)
})

test('a record line that an earlier version writes when it leases a released task counts no attempt', () =>
  inQueue(async (queue, root) => {
    const ids = (await insert(queue, 2)).map(({ id }) => id)
    const [first = '', second = ''] = ids
    // The one had a lease that ran out; `releaseAll` ended that of the other. Both were released, leased by the earlier version,
    // and released again.
    writeFileSync(join(root, 'movement', first), `0--${first}.json\n1700000001--${first}.json\n3--${first}.json\n`)
    writeFileSync(
      join(root, 'movement', second),
      `0--${second}.json\n2--${second}.json\n3--${second}.json\n2--${second}.json\n`,
    )
    renameSync(join(root, 'queue', `0--${first}.json`), join(root, 'queue', `3--${first}.json`))
    renameSync(join(root, 'queue', `0--${second}.json`), join(root, 'queue', `2--${second}.json`))
    const leases = [await leaseOne(queue), await leaseOne(queue)]
    const attempts = Object.fromEntries(leases.map(({ id, attempt }) => [id, attempt]))
    assert.deepEqual(attempts, { [first]: 2, [second]: 1 })
  }))

test('a release without a failure counts no attempt, whatever the history', () => {
  const { clock, options } = settableClock()
  const pasts: readonly [past: string, attempts: number, prepare: (queue: Backend, root: string) => Promise<void>][] = [
    ['a delay', 0, async queue => void (await insert(queue, 1, 50))],
    [
      'a delay of Python’s',
      0,
      async (queue, root) => {
        const [sent] = await insert(queue, 1, 50)
        const record = join(root, 'movement', sent?.id ?? '')
        writeFileSync(record, `${namesIn(root, 'queue')[0]}\n`)
      },
    ],
    [
      'a lease of Python’s',
      1,
      async (queue, root) => {
        const [sent] = await insert(queue, 1)
        const leased = `${clock.seconds + 60}--${sent?.id}.json`
        renameSync(join(root, 'queue', `0--${sent?.id}.json`), join(root, 'queue', leased))
        const record = join(root, 'movement', sent?.id ?? '')
        writeFileSync(record, `${leased}\n`)
        const later = Date.now() / 1000 + 10
        utimesSync(record, later, later)
      },
    ],
    [
      'two failures and a release with a delay',
      2,
      async queue => {
        await insert(queue, 1)
        for (const attempt of [1, 2]) {
          await queue.release([await leaseOne(queue)], { delaySeconds: 0, failure: failure(attempt) })
          clock.seconds += 10
        }
        await queue.release([await leaseOne(queue)], { delaySeconds: 50 })
      },
    ],
  ]
  return inFolder(async folder => {
    for (const [index, [past, attempts, prepare]] of pasts.entries()) {
      const root = join(folder, `queue-${index}`)
      await using opened = await openQueue(root, options)
      const { queue } = opened
      await prepare(queue, root)
      clock.seconds += 100
      for (let turn = 0; turn < 3; turn++) {
        const lease = await leaseOne(queue)
        assert.equal(lease.attempt, attempts + 1, `${past}, turn ${turn}`)
        assert.deepEqual(await queue.release([lease], { delaySeconds: 0 }), [])
      }
      for (const failed of [1, 2]) {
        const lease = await leaseOne(queue)
        assert.equal(lease.attempt, attempts + failed, `${past}, failed ${failed} times`)
        await queue.release([lease], { delaySeconds: 0, failure: failure(failed) })
        clock.seconds += 10
        const again = await leaseOne(queue)
        assert.equal(again.attempt, attempts + failed + 1, `${past}, failed ${failed} times, released`)
        assert.deepEqual(await queue.release([again], { delaySeconds: 0 }), [])
      }
    }
  })
})

test('a late holder of a task with a history does not change the record of later attempts', () => {
  const { clock, options } = settableClock()
  return inQueue(async (queue, root) => {
    const [sent] = await insert(queue, 1)
    await queue.release([await leaseOne(queue)], { delaySeconds: 0, failure: failure(1) })
    clock.seconds += 10
    const stale = await leaseOne(queue, 10)
    clock.seconds += 12
    await using other = await openQueue(root, options)
    assert.equal((await leaseOne(other.queue, 10)).attempt, 3)
    const record = readFileSync(join(root, 'movement', sent?.id ?? ''), 'utf8')
    await assertLost(queue, stale)
    assert.equal(readFileSync(join(root, 'movement', sent?.id ?? ''), 'utf8'), record)
    clock.seconds += 12
    assert.equal((await leaseOne(queue)).attempt, 4)
  }, options)
})
