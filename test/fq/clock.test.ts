import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { inQueue } from './folder.js'
import { insert, leaseNow, leaseOne } from './messages.js'
import { interfered, systemError } from './test-files.js'

/** The filesystem's clock, ahead of the monotonic one. */
const nowMs = () => performance.now() + 1_800_000_000_000

/** Delay of a pooled call's answer on a busy machine. */
const lateMs = 2_000

test('leases last as long as requested when the clock was read on a busy machine', async () => {
  let leasedMs = Number.NaN
  const either = (call: string, _path: string, to: string) => {
    if (call === 'rename' && !to.includes('/0--')) leasedMs = nowMs()
  }
  const files = interfered({ clockMs: nowMs, either })
  const placeOf = async () => {
    await pause(lateMs)
    return 'local' as const
  }
  await inQueue(
    async queue => {
      await insert(queue, 1)
      const { handle } = await leaseOne(queue, 600)
      const lastsMs = (handle as { until: number }).until * 1000 - leasedMs
      // Whole seconds, rounded up.
      assert.ok(lastsMs > 600_000 - lateMs / 2, `the lease lasts ${lastsMs} ms`)
    },
    { hostNowMs: nowMs, fileSystem: { ...files, placeOf } },
  )
})

test('a clock that can no longer be read, on a full disk, goes on: a wall clock that was set ends no lease', async () => {
  let isFull = false
  let dateMs = nowMs()
  const clockMs = () => {
    if (isFull) throw systemError('ENOSPC', 'clock')
    return nowMs()
  }
  await inQueue(
    async queue => {
      await insert(queue, 1)
      const lease = await leaseOne(queue, 600)
      isFull = true
      dateMs += 3_600_000
      assert.deepEqual(await leaseNow(queue), [])
      assert.deepEqual(await queue.delete([lease], { tally: false }), [])
    },
    { hostNowMs: () => dateMs, fileSystem: interfered({ clockMs }) },
  )
})
