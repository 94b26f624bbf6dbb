// Savings over a network: completions are counted together, and records are looked up only if there may be some.
import assert from 'node:assert/strict'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { partial, queueable, TaskQueue } from 'ptq'
import type { FileSystem } from '#ptq/backends/fq/file-system.js'
import { inFolder, openQueue } from './folder.js'
import { failure, insert, leaseNow, leaseOne, namesIn } from './messages.js'
import { interfered } from './test-files.js'

const succeed = queueable(function succeedOverNetwork() {
  return undefined
})

/** A network filesystem, and its calls, e.g. `stat movement`. */
function network(root: string): { fileSystem: FileSystem; calls: string[] } {
  const calls: string[] = []
  const files = interfered({
    either: (call, path) => {
      calls.push(`${call} ${path.slice(root.length + 1).split('/')[0]}`)
    },
  })
  return { fileSystem: { ...files, placeOf: async () => 'network' }, calls }
}

function sizeOfCompletions(root: string): number {
  const path = join(root, 'completions')
  return existsSync(path) ? statSync(path).size : 0
}

const LATER = { tally: true, mayTallyLater: true }

test('completions over a network that a worker counts are written together, when it ends or somebody asks', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    const { fileSystem, calls } = network(root)
    await using opened = await openQueue(root, { fileSystem })
    const { queue } = opened
    await insert(queue, 60)
    for (const [turn, ask] of [() => queue.tallyDeleted?.(), () => queue.counts(), () => queue.close()].entries()) {
      for (let task = 0; task < 20; task++) assert.deepEqual(await queue.delete([await leaseOne(queue)], LATER), [])
      assert.equal(sizeOfCompletions(root), 20 * turn)
      await ask()
      assert.equal(sizeOfCompletions(root), 20 * (turn + 1))
    }
    assert.equal(calls.filter(call => call === 'write completions').length, 3)
  }))

test('completions over a network wait for no more than a hundred, or some seconds', t =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    const { fileSystem } = network(root)
    await using opened = await openQueue(root, { fileSystem })
    const { queue } = opened
    await insert(queue, 102)
    const leases = await leaseNow(queue, 102)
    for (const lease of leases.slice(0, 99)) assert.deepEqual(await queue.delete([lease], LATER), [])
    assert.equal(sizeOfCompletions(root), 0)
    assert.deepEqual(await queue.delete(leases.slice(99, 100), LATER), [])
    assert.equal(sizeOfCompletions(root), 100)
    t.mock.timers.enable({ apis: ['setTimeout'] })
    assert.deepEqual(await queue.delete(leases.slice(100, 101), LATER), [])
    assert.equal(sizeOfCompletions(root), 100)
    t.mock.timers.tick(10_000)
    t.mock.timers.reset()
    // Resolves when what the timer has begun is done.
    await queue.tallyDeleted?.()
    assert.equal(sizeOfCompletions(root), 101)
    assert.deepEqual(await queue.delete(leases.slice(101), { tally: true }), [])
    assert.equal(sizeOfCompletions(root), 102)
  }))

test('a worker over a network has counted all that it did when it ends', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using tq = new TaskQueue(root, { progress: false, fileSystem: network(root).fileSystem })
    await tq.insert(Array.from({ length: 150 }, () => partial(succeed)))
    const poll = { parallel: 0, tally: true, untilEmpty: true, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.01 }
    assert.equal(await tq.poll(poll), 150)
    assert.equal(sizeOfCompletions(root), 150)
  }))

test('over a network a task that was never leased before is removed without a look for its record, if there are none', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    const { fileSystem, calls } = network(root)
    await using opened = await openQueue(root, { fileSystem })
    const { queue } = opened
    await insert(queue, 20)
    const leases = await leaseNow(queue, 20)
    calls.length = 0
    for (const lease of leases) assert.deepEqual(await queue.delete([lease], LATER), [])
    // One by one until they are seen to be frequent, then one at the folder.
    const count = (call: string) => calls.filter(each => each === `${call} movement`).length
    assert.ok(count('openFolder') <= 2, `${count('openFolder')} looks at the folder`)
    assert.ok(count('stat') <= 5, `${count('stat')} looks for a record`)
    // Of one with a past, for which there is a record.
    await insert(queue, 1)
    assert.deepEqual(await queue.release([await leaseOne(queue)], { delaySeconds: 0, failure: failure(1) }), [])
    assert.equal(namesIn(root, 'movement').length, 1)
    assert.deepEqual(await queue.delete([await leaseOne(queue)], LATER), [])
    assert.deepEqual(namesIn(root, 'movement'), [])
    assert.deepEqual(namesIn(root, 'failures'), [])
  }))

test('over a network the records of tasks that Python inserted are removed with them', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using opened = await openQueue(root, { fileSystem: network(root).fileSystem })
    const { queue } = opened
    const inserted = await insert(queue, 20)
    for (const { id } of inserted) writeFileSync(join(root, 'movement', id), `0--${id}.json\n`)
    for (const lease of await leaseNow(queue, 20)) assert.deepEqual(await queue.delete([lease], LATER), [])
    assert.deepEqual(namesIn(root, 'movement'), [])
  }))
