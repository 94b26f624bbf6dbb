import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { partial, range, type TaskQueue } from 'ptq'
import { linesOf } from '../poll/ledger.js'
import { onEach } from '../poll/queues.js'
import { leaveLine, noop } from '../poll/tasks.js'

/** Leases all that is ready, as a worker that then dies. */
async function die(tq: TaskQueue): Promise<number> {
  const leased = await tq.lease({ seconds: 0.001, numTasks: 100_000 })
  // The lease, of a millisecond, ends.
  await sleep(5)
  return leased.length
}

describe('a pack whose worker died', () => {
  onEach(
    'is split, so that each task is alone after few deaths, and each keeps its id',
    async queue => {
      const tq = queue.open()
      const ledger = join(queue.folder, 'ledger')
      await tq.insert(
        Array.from({ length: 300 }, () => partial(leaveLine, ledger)),
        { pack: 300 },
      )
      const sizes: number[] = []
      for (let death = 1; death <= 2; death++) {
        await die(tq)
        const stop = new AbortController()
        tq.events.on('idle', () => stop.abort())
        // It splits what it leases, and runs nothing: all are released as the first one begins.
        await tq
          .poll({ parallel: 0, signal: stop.signal, tally: true, beforeFn: () => Promise.reject(new Error('not yet')) })
          .catch(() => undefined)
        sizes.push(Math.max(...(await tq.list()).map(({ count }) => count)))
        const { enqueued } = await tq.status()
        assert.equal(enqueued, 300)
      }
      assert.deepEqual(sizes, [19, 2])
      await die(tq)
      await tq.poll({ parallel: 0, untilEmpty: true, tally: true, minBackoffSeconds: 0.01 })
      const lines = linesOf(ledger).map(line => line.split(' ')[0])
      assert.deepEqual([lines.length, new Set(lines).size], [300, 300])
      assert.equal((await tq.status()).completed, 300)
      assert.equal(await tq.failed(), 0)
    },
    ['mem'],
  )

  onEach(
    'so often that its parts run alone is run whole, each task once',
    async queue => {
      const tq = queue.open()
      const ledger = join(queue.folder, 'ledger')
      await tq.insert(
        Array.from({ length: 40 }, () => partial(leaveLine, ledger)),
        { pack: 40 },
      )
      for (let death = 1; death <= 4; death++) {
        await tq.lease({ seconds: 0.001 })
        // The lease, of a millisecond, ends.
        await sleep(5)
      }
      await tq.poll({ parallel: 0, untilEmpty: true, tally: true, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.02 })
      const lines = linesOf(ledger).map(line => line.split(' ')[0])
      assert.deepEqual([lines.length, new Set(lines).size], [40, 40])
      assert.deepEqual([await tq.failed(), await tq.enqueued()], [0, 0])
    },
    ['mem'],
  )

  onEach(
    'of a slice is split into ranges, for any length',
    async queue => {
      const tq = queue.open()
      await tq.insert(range(noop, 0, 1_000_000_000), { pack: 1_000_000_000 })
      await die(tq)
      await tq.poll({ parallel: 0, beforeFn: () => Promise.reject(new Error('not yet')) }).catch(() => undefined)
      const { enqueued, messages } = await tq.status()
      assert.equal(enqueued, 1_000_000_000)
      assert.ok(messages !== undefined && messages >= 16 && messages <= 17)
    },
    ['mem'],
  )
})
