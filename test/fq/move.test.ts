import assert from 'node:assert/strict'
import { existsSync, renameSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Backend } from '#ptq/backend/backend.js'
import type { FileCalls } from '#ptq/backends/fq/file-system.js'
import type { FileQueueOptions } from '#ptq/backends/fq/index.js'
import { inFolder, openQueue } from './folder.js'
import { failure, insert, leaseNow, leaseOne, namesIn } from './messages.js'
import { interfered, systemError } from './test-files.js'

const CHANGES = new Set<keyof FileCalls>(['rename', 'unlink', 'write', 'makeFolder', 'removeFolder'])

/** Refuses renames between `here` and `there`, as between two filesystems. */
function refuseAcross(folder: string) {
  const sideOf = (path: string) => path.slice(folder.length + 1).split('/')[0]
  return (call: keyof FileCalls, path: string, to: string) => {
    if (call === 'rename' && sideOf(path) !== sideOf(to)) throw systemError('EXDEV', path)
  }
}

/** A filesystem that fails from its n-th change on, as for a process that dies there. */
function dying(before: number, also: (call: keyof FileCalls, path: string, to: string) => void) {
  const life = { changes: 0, dead: false }
  const check = (call: keyof FileCalls, path: string, to: string) => {
    if (CHANGES.has(call) && ++life.changes > before) life.dead = true
    if (life.dead) throw systemError('EIO', path)
    also(call, path, to)
  }
  const pooled = async (call: keyof FileCalls, path: string, to: string) => check(call, path, to)
  return { life, fileSystem: interfered({ blocking: check, pooled }) }
}

function crossing(folder: string) {
  const check = refuseAcross(folder)
  return interfered({
    blocking: check,
    pooled: async (call: keyof FileCalls, path: string, to: string) => check(call, path, to),
  })
}

async function moveAll(from: Backend, to: Backend): Promise<number> {
  const moving = from.moveTo?.(to, { signal: new AbortController().signal })
  assert.ok(moving)
  let moved = 0
  for await (const some of moving) moved += some
  return moved
}

/** A worker: leases, runs, deletes. @returns the ids */
async function work(root: string, options: FileQueueOptions = {}): Promise<string[]> {
  await using opened = await openQueue(root, options)
  const leases = await leaseNow(opened.queue, 1000)
  assert.deepEqual(await opened.queue.delete(leases, { tally: false }), [])
  return leases.map(({ id }) => id)
}

/**
 * Moves six tasks, dying before the n-th change; then workers run the tasks on both sides, leases expire, and another
 * move finishes. @returns true if the first move died
 */
async function dieAndResume(before: number, separate: boolean): Promise<boolean> {
  let died = false
  await inFolder(async folder => {
    const [here, there] = [join(folder, 'here'), join(folder, 'there')]
    await using source = await openQueue(here)
    const sent = (await insert(source.queue, 6)).map(({ id }) => id).sort()
    const { life, fileSystem } = dying(before, separate ? refuseAcross(folder) : () => undefined)
    const from = await openQueue(here, { fileSystem })
    const to = await openQueue(there, { fileSystem })
    await moveAll(from.queue, to.queue).catch(() => undefined)
    died = life.dead
    await from.queue.close().catch(() => undefined)
    await to.queue.close().catch(() => undefined)

    // Workers that run in between: tasks that they finish must not return.
    const finished = existsSync(join(there, 'queue')) ? await work(there) : []
    const hostNowMs = () => Date.now() + 600_000
    const later = { hostNowMs, fileSystem: interfered({ clockMs: hostNowMs }) }
    if (before % 2 === 0) finished.push(...(await work(here, later)))
    {
      const check = separate ? refuseAcross(folder) : () => undefined
      const pooled = async (call: keyof FileCalls, path: string, to: string) => check(call, path, to)
      const options = { hostNowMs, fileSystem: interfered({ blocking: check, pooled, clockMs: hostNowMs }) }
      await using fromAgain = await openQueue(here, options)
      await using toAgain = await openQueue(there, options)
      await moveAll(fromAgain.queue, toAgain.queue)
      assert.equal((await fromAgain.queue.counts()).enqueued, 0)
    }
    finished.push(...(await work(there)))
    assert.deepEqual(finished.sort(), sent, `died before change ${before + 1}`)
    for (const part of ['queue', 'movement']) assert.deepEqual(namesIn(here, part), [])
  })
  return died
}

for (const separate of [false, true]) {
  const filesystems = separate ? 'two filesystems' : 'one filesystem'
  test(`a move on ${filesystems} that dies before any of its changes loses and duplicates nothing`, async () => {
    let before = 0
    while (await dieAndResume(before, separate)) before++
    // Each of the six tasks is changed that often at least.
    assert.ok(before >= (separate ? 6 * 5 : 6 * 2), `${before} changes were made`)
  })

  test(`each task runs once with two concurrent moves and workers on both queues, on ${filesystems}`, () =>
    inFolder(async folder => {
      const [here, there] = [join(folder, 'here'), join(folder, 'there')]
      const options = separate ? { fileSystem: crossing(folder) } : {}
      await using from = await openQueue(here, options)
      await using fromToo = await openQueue(here, options)
      await using to = await openQueue(there, options)
      await using toToo = await openQueue(there, options)
      const sent = (await insert(from.queue, 1000)).map(({ id }) => id).sort()
      const finished: string[] = []
      let moving = true
      const worker = async (root: string) => {
        await using opened = await openQueue(root)
        for (;;) {
          const wasMoving = moving
          const leases = await leaseNow(opened.queue, 50)
          assert.deepEqual(await opened.queue.delete(leases, { tally: false }), [])
          finished.push(...leases.map(({ id }) => id))
          if (leases.length === 0 && !wasMoving) return
          await new Promise(resolve => setImmediate(resolve))
        }
      }
      const moves = Promise.all([moveAll(from.queue, to.queue), moveAll(fromToo.queue, toToo.queue)]).finally(() => {
        moving = false
      })
      await Promise.all([moves, worker(here), worker(there)])
      assert.deepEqual(finished.sort(), sent)
      for (const part of ['moved', 'queue']) assert.deepEqual(namesIn(here, part), [])
      for (const part of ['arriving', 'queue']) assert.deepEqual(namesIn(there, part), [])
    }))

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
