import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { partial } from 'ptq'
import { WorkerProcess } from './processes.js'
import { onEach } from './queues.js'
import { noop, waitForFile } from './tasks.js'

const shiftedClock = join(import.meta.dirname, '..', 'time', 'shifted-clock.js')

describe('the clocks of a worker', { concurrency: 3 }, () => {
  for (const [what, seconds] of [
    ['back', -60],
    ['forward', 3600],
  ] as const) {
    onEach(
      `leases are renewed and kept when the wall clock is set ${what}`,
      async queue => {
        const tq = queue.open()
        const [ledger, file] = [join(queue.folder, 'ledger'), join(queue.folder, 'go')]
        await tq.insert(partial(waitForFile, ledger, file))
        const options = { parallel: 1, leaseSeconds: 2, untilEmpty: true, maxBackoffSeconds: 1 }
        const worker = new WorkerProcess(queue.url, options, ['renewed', 'lost', 'succeeded'], shiftedClock)
        await worker.waitForTimes('renewed', 1)
        worker.shiftClocks({ clockShift: 'date', seconds })
        await worker.waitForTimes('renewed', 4)
        assert.equal((await queue.open().lease({ numTasks: 5 })).length, 0, 'still its task')
        writeFileSync(file, '')
        assert.equal(await worker.end, 0)
        assert.deepEqual([worker.ran, worker.count('lost'), worker.count('succeeded')], [1, 0, 1])
      },
      ['fq'],
    )
  }

  onEach(
    'a task whose lease expired while the machine slept is aborted soon after the wake-up',
    async queue => {
      const tq = queue.open()
      const [ledger, file] = [join(queue.folder, 'ledger'), join(queue.folder, 'go')]
      await tq.insert(partial(waitForFile, ledger, file))
      // By a clock that stood still it would not be due for minutes.
      const options = { parallel: 1, leaseSeconds: 1200 }
      const worker = new WorkerProcess(queue.url, options, ['lost', 'succeeded'], shiftedClock)
      while (!existsSync(ledger)) await delay(5)
      await tq.releaseAll()
      const [theirs] = await queue.open().lease({ seconds: 600 })
      assert.ok(theirs)
      worker.shiftClocks({ clockShift: 'sleep', seconds: 1300 })
      await worker.waitFor('lost')
      worker.kill('SIGTERM')
      assert.equal(await worker.end, 143)
      assert.equal(worker.count('succeeded'), 0)
      assert.equal((await tq.status()).leased, 1)
    },
    ['fq'],
  )

  onEach(
    'a worker that slept past `until` starts no task',
    async queue => {
      const tq = queue.open()
      await tq.insert(partial(noop, 1))
      const options = {
        parallel: 0,
        until: new Date(Date.now() + 3_600_000),
        minBackoffSeconds: 1000,
        maxBackoffSeconds: 1000,
      }
      const worker = new WorkerProcess(queue.url, options, ['idle'], shiftedClock)
      await worker.waitFor('idle')
      worker.shiftClocks({ clockShift: 'sleep', seconds: 3700 })
      assert.equal(await worker.end, 0)
      assert.equal(worker.ran, 1)
    },
    ['fq'],
  )
})
