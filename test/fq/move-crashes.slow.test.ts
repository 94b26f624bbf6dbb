// Moves that die before any of their changes, and two at once beside workers.
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FileCalls } from '#ptq/backends/fq/file-system.js'
import type { FileQueueOptions } from '#ptq/backends/fq/index.js'
import { inFolder, openQueue } from './folder.js'
import { insert, leaseNow, namesIn } from './messages.js'
import { crossing, dying, moveAll, refuseAcross } from './moves.js'
import { interfered } from './test-files.js'

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
}
