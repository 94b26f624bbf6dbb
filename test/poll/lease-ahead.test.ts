import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { partial, queueable, type TaskQueue } from 'ptq'
import { event, newGate, onEach, task } from './queues.js'
import { SlowDown } from './tasks.js'

let calls = 0

/** Throws a rate limit error each 20th time. */
const limited = queueable(function limitedEachTwentieth(_n: number): void {
  if (++calls % 20 === 0) throw new SlowDown('later')
})

const soon = { untilEmpty: true, minBackoffWindow: 0.001, maxBackoffWindow: 0.001 } as const

/** The number of leases, and the most tasks held at a time. */
function countHeld(tq: TaskQueue): { leased: number; most: number } {
  const counted = { leased: 0, most: 0 }
  let held = 0
  tq.events.on('leased', () => {
    counted.leased++
    counted.most = Math.max(counted.most, ++held)
  })
  for (const name of ['released', 'succeeded'] as const) tq.events.on(name, () => held--)
  return counted
}

describe('prefetched tasks', { concurrency: 1 }, () => {
  onEach('with frequent rate limits no more tasks are released than run', async queue => {
    calls = 0
    const tq = queue.open()
    await tq.insert(Array.from({ length: 500 }, (_, n) => partial(limited, n)))
    const counted = countHeld(tq)
    assert.equal(await tq.poll({ ...soon, parallel: 0, backoffExceptions: [SlowDown] }), 500)
    const pauses = calls - 500
    // Each of the 500 may have been released once, in addition to those with a rate limit.
    assert.ok(counted.leased <= 2 * (500 + pauses), `${counted.leased} leases, ${pauses} pauses`)
  })

  for (const parallel of [1, 2]) {
    onEach(`no long task is leased before a thread is idle, parallel ${parallel}`, async queue => {
      const tq = queue.open()
      await tq.insert(Array.from({ length: 10 }, (_, n) => task('blockAt', `${n}`)))
      const counted = countHeld(tq)
      const stop = new AbortController()
      const { gate, open } = newGate()
      let begun = 0
      const allBegun = event(tq.events, 'log', () => ++begun === parallel)
      const polled = tq.poll({ ...soon, parallel, executeArgs: [gate], signal: stop.signal })
      await allBegun
      stop.abort()
      open()
      assert.equal(await polled, parallel)
      assert.deepEqual(counted, { leased: parallel, most: parallel })
    })
  }
})
