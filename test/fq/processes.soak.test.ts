import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, renameSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { nameOf } from '#ptq/backends/fq/names.js'
import { fastDisk, inFolder, inQueue, openQueue } from './folder.js'
import { insert, leaseNow, namesIn } from './messages.js'
import { startProcess } from './orders.js'
import { settableClock } from './test-files.js'

const PROCESSES = 8

/** Starts processes and runs `work` with them; all have ended when this resolves. */
async function withProcesses(
  root: string,
  count: number,
  work: (processes: Awaited<ReturnType<typeof startProcess>>[]) => Promise<void>,
): Promise<void> {
  const processes = await Promise.all(Array.from({ length: count }, () => startProcess(root)))
  try {
    await work(processes)
  } finally {
    await Promise.all(processes.map(each => each[Symbol.asyncDispose]()))
  }
}

test('8 processes insert and drain 100,000 tasks concurrently: each is leased once, none is lost, the counts are exact', () =>
  inFolder(async folder => {
    const total = 100_000
    const root = join(folder, 'queue-of-test')
    const logs = Array.from({ length: PROCESSES }, (_, index) => join(folder, `log-${index}`))
    await withProcesses(root, PROCESSES, async processes => {
      const count = total / PROCESSES
      await Promise.all(
        processes.map((each, index) => each.ask({ verb: 'work', count, batch: 500, log: logs[index] ?? '' })),
      )
    })
    const finished = logs.flatMap(log => readFileSync(log, 'utf8').split('\n').filter(Boolean))
    assert.equal(finished.length, total)
    assert.equal(new Set(finished).size, total)
    await using opened = await openQueue(root)
    const expected = {
      enqueued: 0,
      leased: 0,
      delayed: 0,
      foreign: 0,
      inserted: total,
      completed: total,
      quarantined: 0,
    }
    assert.deepEqual(await opened.queue.counts(), expected)
    for (const part of ['queue', 'movement', 'staging', 'failures']) assert.deepEqual(namesIn(root, part), [])
  }, fastDisk))

test('a task has one holder at a time while processes lease, renew, release, fail and delete at random', () =>
  inQueue(async (queue, root) => {
    const sent = await insert(queue, 1200)
    const folder = join(root, 'held')
    mkdirSync(folder)
    const log = join(root, 'finished')
    await withProcesses(root, 4, async processes => {
      await Promise.all(processes.map(each => each.ask({ verb: 'act at random', folder, log })))
    })
    const finished = readFileSync(log, 'utf8').trim().split('\n').sort()
    assert.deepEqual(finished, sent.map(({ id }) => id).sort())
    assert.equal((await queue.counts()).completed, 1200)
    for (const part of ['queue', 'movement', 'failures', 'held']) assert.deepEqual(namesIn(root, part), [])
  }))

test('a listing shows only whole files while others insert', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await withProcesses(root, 2, async processes => {
      let going = true
      const inserting = Promise.all(processes.map(each => each.ask({ verb: 'insert', count: 3000, delaySeconds: 0 })))
      const ended = inserting.then(() => {
        going = false
      })
      await using opened = await openQueue(root)
      await insert(opened.queue, 1)
      const look = async () => {
        let seen = 0
        for await (const { id, body } of opened.queue.list?.() ?? []) {
          assert.ok(body.endsWith(`"id": "${id}"}`), body)
          seen++
        }
        return seen
      }
      do await look()
      while (going)
      await ended
      assert.equal(await look(), 6001)
    })
  }))

test('tasks of a killed process are leased again when their leases expire, as second attempts', () => {
  const { clock, options } = settableClock(Math.floor(Date.now() / 1000))
  return inQueue(async (queue, root) => {
    await insert(queue, 50)
    await withProcesses(root, 1, async ([victim]) => {
      assert.equal(await victim?.ask({ verb: 'lease', max: 50, seconds: 100 }), 50)
      await victim?.kill()
    })
    assert.deepEqual(await leaseNow(queue, 50), [])
    clock.seconds += 1000
    const leases = await leaseNow(queue, 50)
    assert.deepEqual(
      leases.map(({ attempt }) => attempt),
      Array(50).fill(2),
    )
    assert.deepEqual(await queue.delete(leases, { tally: true }), [])
    assert.deepEqual(namesIn(root, 'movement'), [])
  }, options)
})

test('hosts whose clocks differ by an hour neither steal leases nor strand tasks', () =>
  inFolder(async folder => {
    const root = join(folder, 'queue-of-test')
    await using early = await startProcess(root, { hostSkewSeconds: -3600 })
    await using late = await startProcess(root, { hostSkewSeconds: 3600 })
    const sides = [early, late]
    for (const [holder, other] of [sides, sides.toReversed()]) {
      assert.ok(holder && other)
      await holder.ask({ verb: 'insert', count: 10, delaySeconds: 0 })
      assert.equal(await other.ask({ verb: 'lease', max: 10, seconds: 600 }), 10, 'a new task is free for all')
      assert.equal(await holder.ask({ verb: 'lease', max: 10, seconds: 600 }), 0, 'a lease is a lease for all')
      assert.equal(await holder.ask({ verb: 'count', which: 'leased' }), 10)
      assert.equal(await other.ask({ verb: 'count', which: 'leased' }), 10)
      await holder.ask({ verb: 'insert', count: 1, delaySeconds: 1800 })
      assert.equal(await other.ask({ verb: 'lease', max: 10, seconds: 600 }), 0, 'a delay is a delay for all')
      assert.equal(await other.ask({ verb: 'count', which: 'delayed' }), 1)
      const now = Date.now() / 1000
      const times = namesIn(root, 'queue').map(name => Number(name.slice(0, name.indexOf('--'))) - now)
      assert.ok(
        times.every(ahead => ahead > 500 && ahead < 1810),
        String(times),
      )
      await using opened = await openQueue(root)
      await opened.queue.purge({ native: false })
    }
  }))

test('processes and open queues that update insertions concurrently count exactly, also when a lock holder died', () =>
  inQueue(async (queue, root) => {
    await queue.addInserted?.(5)
    // Left by a lock holder that died in 2001.
    const lock = join(root, 'insertions.lock')
    renameSync(join(lock, 'free.json'), join(lock, nameOf(1_000_000_000, '00000000-0000-4000-8000-000000000000')))
    await withProcesses(root, 4, async processes => {
      const ours = Array.from({ length: 50 }, () => queue.addInserted?.(2))
      await Promise.all([...ours, ...processes.map(each => each.ask({ verb: 'addInserted', count: 3, times: 40 }))])
    })
    assert.equal(await readFile(join(root, 'insertions'), 'utf8'), String(5 + 50 * 2 + 4 * 40 * 3))
    assert.deepEqual(namesIn(root, 'insertions.lock'), ['free.json'])
    assert.deepEqual(namesIn(root, 'staging'), [])
  }))
