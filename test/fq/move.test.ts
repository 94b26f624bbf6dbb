import assert from 'node:assert/strict'
import { renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { inFolder, openQueue } from './folder.js'
import { failure, insert, leaseNow, leaseOne, namesIn } from './messages.js'
import { crossing, dying, moveAll, refuseAcross } from './moves.js'
import { systemError } from './test-files.js'

for (const separate of [false, true]) {
  const filesystems = separate ? 'two filesystems' : 'one filesystem'
  test(`leased and delayed tasks stay, records move along, and text is kept byte for byte, on ${filesystems}`, () =>
    inFolder(async folder => {
      const [here, there] = [join(folder, 'here'), join(folder, 'there')]
      const options = separate ? { fileSystem: crossing(folder) } : {}
      await using from = await openQueue(here, options)
      await using to = await openQueue(there, options)
      const body = '{"payload" : ["any thing", 12345678901234567890, NaN, "é\\u00e9\ud83d\ude80"]}\n\n'
      const odd = { id: '00000000-0000-4000-8000-000000000001', body }
      await from.queue.insert([odd], { delaySeconds: 0 })
      const failed = await leaseOne(from.queue)
      assert.deepEqual(await from.queue.release([failed], { delaySeconds: 0, failure: failure(1) }), [])
      await insert(from.queue, 1, 3600)
      const leased = await insert(from.queue, 1)
      const leases = await leaseNow(from.queue, 5)
      const held = leases.find(({ id }) => id === leased[0]?.id)
      const back = leases.filter(lease => lease !== held)
      assert.ok(held)
      assert.deepEqual(await from.queue.release(back, { delaySeconds: 0 }), [])

      assert.equal(await moveAll(from.queue, to.queue), 1)
      const stayed = await from.queue.counts()
      assert.deepEqual([stayed.enqueued, stayed.leased, stayed.delayed], [2, 1, 1])
      assert.deepEqual(await from.queue.delete([held], { tally: false }), [])
      assert.deepEqual(namesIn(here, 'failures'), [])
      const arrived = await leaseOne(to.queue)
      assert.deepEqual([arrived.id, arrived.body, arrived.attempt], [odd.id, odd.body, 1])
    }))
}

test('a queue with two paths is not moved into itself', () =>
  inFolder(async folder => {
    const [here, alias] = [join(folder, 'here'), join(folder, 'alias')]
    await using from = await openQueue(here)
    await insert(from.queue, 3)
    symlinkSync(here, alias)
    await using to = await openQueue(alias)
    await assert.rejects(
      moveAll(from.queue, to.queue),
      /Expected another queue to move to, got a path of the same folder/,
    )
    assert.equal((await from.queue.counts()).enqueued, 3)
  }))

test('tasks in transit to an unreachable queue stay where they are until it is reachable again', () =>
  inFolder(async folder => {
    const [here, there, away] = [join(folder, 'here'), join(folder, 'there'), join(folder, 'away')]
    await using source = await openQueue(here)
    await insert(source.queue, 2)
    const across = refuseAcross(folder)
    // Dies after the tasks have changed queues, before they are listed in the new one.
    const { fileSystem } = dying(1e9, (call, path, to) => {
      if (call === 'rename' && path.includes('/arriving/')) throw systemError('EIO', path)
      across(call, path, to)
    })
    const from = await openQueue(here, { fileSystem })
    const to = await openQueue(there, { fileSystem })
    await assert.rejects(moveAll(from.queue, to.queue), /Moving tasks to fq:.*there failed in fq:.*here: EIO/)
    await from[Symbol.asyncDispose]()
    await to[Symbol.asyncDispose]()
    assert.equal((await source.queue.counts()).enqueued, 0)

    renameSync(there, away)
    await using elsewhere = await openQueue(join(folder, 'elsewhere'))
    await assert.rejects(
      moveAll(source.queue, elsewhere.queue),
      /2 tasks are on their way to .*there, and .*arriving.* can't be found/,
    )
    renameSync(away, there)
    await using back = await openQueue(there)
    assert.equal(await moveAll(source.queue, elsewhere.queue), 2, 'finished, whichever queue is named')
    assert.equal((await back.queue.counts()).enqueued, 2)
    assert.equal((await elsewhere.queue.counts()).enqueued, 0)
  }))
