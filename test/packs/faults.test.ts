import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { partial, type TaskQueue } from 'ptq'
import { ManualClock } from 'ptq/testing'
import type { Backend } from '#ptq/backend/backend.js'
import { HeldPacks } from '#ptq/poll/held-packs.js'
import { PackLeases } from '#ptq/poll/pack-leases.js'
import { PackUpkeep } from '#ptq/poll/pack-upkeep.js'
import { Leasing } from '#ptq/queue/leasing.js'
import { deadLettersOf } from '../poll/dead-letters.js'
import { linesOf } from '../poll/ledger.js'
import { onEach, type TestQueue } from '../poll/queues.js'
import { noop } from '../poll/tasks.js'
import { Breaking, Spoiled } from './sequences.js'

const eager = { untilEmpty: true, tally: true, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.02 } as const

async function die(tq: TaskQueue): Promise<void> {
  await tq.lease({ seconds: 0.001, numTasks: 100 })
  // The lease, of a millisecond, ends.
  await sleep(5)
}

/** A pack of ten tasks that is held, in a queue whose verbs a test replaces. */
async function heldPack(queue: TestQueue, replaced: (backend: Backend) => Partial<Backend>) {
  await queue.open().insert(
    Array.from({ length: 10 }, (_, n) => partial(noop, n)),
    { pack: 10 },
  )
  const real = await queue.backend()
  const verbs = replaced(real)
  const backend = new Proxy(real, {
    get(target, name) {
      const value: unknown = Reflect.get(name in verbs ? verbs : target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const clock = new ManualClock()
  const unexpected = () => assert.fail('not expected')
  const held = new HeldPacks()
  const packs = new PackLeases({ backend, leasing: new Leasing(1), tally: true, clock }, held, {
    packEnded: () => undefined,
    failed: unexpected,
    lost: unexpected,
    settled: () => undefined,
  })
  const upkeep = new PackUpkeep(held, packs, { threads: 1, clock, label: backend.label })
  const plan = { seconds: 60, max: 1, waitSeconds: 0, signal: new AbortController().signal }
  const [message] = await packs.lease(backend, plan)
  assert.ok(message)
  held.open(message, clock.nowMs())
  return { packs, upkeep, clock }
}

/** The next warning of this process. */
const nextWarning = () => once(process, 'warning').then(([warning]) => String(warning))

describe('faults around packs', () => {
  for (const parallel of [0, 1]) {
    for (const how of ['no task', 'argument'] as const) {
      for (const died of [false, true]) {
        onEach(
          `a sequence that makes ${how} to store fails with it, not the worker: parallel ${parallel}, holder died: ${died}`,
          async queue => {
            const tq = queue.open()
            const ledger = join(queue.folder, 'ledger')
            await tq.insert(new Spoiled(0, 12, { at: 5, ledger, how }), { pack: 12 })
            if (died) await die(tq)
            await tq.poll({ parallel, ...eager, maxAttempts: 3 })
            assert.equal(linesOf(ledger).length, 11, 'the others ran once')
            const letters = await deadLettersOf(tq)
            assert.deepEqual(
              letters.map(({ isPack, count }) => [isPack, count]),
              [[true, 1]],
            )
            assert.equal(await tq.enqueued(), 0)
          },
          ['mem'],
        )
      }
    }
  }

  onEach(
    'a pack that is split has a task that cannot be made: the others run',
    async queue => {
      const tq = queue.open()
      await tq.insert(new Breaking(0, 12, 5), { pack: 12 })
      await die(tq)
      assert.equal(await tq.poll({ parallel: 0, ...eager, maxAttempts: 2 }), 11)
      const [letter, ...others] = await deadLettersOf(tq)
      assert.deepEqual([letter?.count, others.length], [1, 0])
      assert.match(letter?.failures.at(-1)?.reason ?? '', /no task 5/)
    },
    ['mem'],
  )

  onEach('a pack that is dead-lettered holds no tasks that ended', async queue => {
    const tq = queue.open()
    await tq.insert(new Breaking(0, 50, 20), { pack: 50 })
    assert.equal(await tq.poll({ parallel: 0, ...eager, maxAttempts: 1 }), 20)
    const [letter] = await deadLettersOf(tq)
    assert.equal(letter?.count, 30)
    await tq.retry()
    assert.equal(await tq.poll({ parallel: 0, ...eager, maxAttempts: 1 }), 0)
  })

  onEach(
    'a pack whose release for idle workers fails is run here',
    async queue => {
      let failing = true
      const { packs, upkeep, clock } = await heldPack(queue, real => ({
        release: (...args) => (failing ? Promise.reject(new Error('not now')) : real.release(...args)),
      }))
      clock.advance(2)
      const warning = nextWarning()
      await upkeep.run()
      failing = false
      assert.match(await warning, /The progress of a pack of mem:.* could not be written: .*not now/)
      assert.equal((await packs.take(10)).length, 10)
    },
    ['mem'],
  )

  onEach(
    'a part of a started pack that this worker cannot begin soon is another message for idle workers',
    async queue => {
      const { packs, upkeep, clock } = await heldPack(queue, () => ({}))
      const [running] = await packs.take(1)
      assert.ok(running)
      // One task in two seconds: five in ten.
      clock.advance(2)
      await upkeep.run()
      const tq = queue.open()
      assert.deepEqual((await tq.list()).map(({ count }) => count).sort(), [4, 6])
      const [part, ...others] = await tq.lease({ numTasks: 10 })
      assert.deepEqual([part?.count, part?.attempt, others.length], [4, 1, 0])
      // The others are still handed out here.
      assert.equal((await packs.take(10)).length, 5)
    },
  )

  onEach(
    'a slow queue gets one write of a pack at a time',
    async queue => {
      let writes = 0
      let answer: () => void = () => undefined
      const { packs, upkeep, clock } = await heldPack(queue, real => ({
        replace: async (lease, body) => {
          writes++
          await new Promise<void>(resolve => {
            answer = resolve
          })
          await real.replace?.(lease, body)
        },
      }))
      const [first, second] = await packs.take(10)
      assert.ok(first && second)
      packs.complete(first)
      clock.advance(6)
      const written = upkeep.run()
      while (writes === 0) await sleep(1)
      packs.complete(second)
      clock.advance(6)
      const others = [upkeep.run(), upkeep.run()]
      answer()
      await written
      await Promise.all(others)
      assert.equal(writes, 1)
      const next = upkeep.run()
      while (writes === 1) await sleep(1)
      answer()
      await next
      assert.equal(writes, 2)
    },
    ['mem'],
  )
})
