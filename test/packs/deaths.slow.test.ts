import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe } from 'node:test'
import { type PollOptions, partial, range } from 'ptq'
import { deadLettersOf } from '../poll/dead-letters.js'
import { linesOf } from '../poll/ledger.js'
import { WorkerProcess } from '../poll/processes.js'
import { onEach } from '../poll/queues.js'
import { killProcess, leaveLine, noop } from '../poll/tasks.js'

const eager = {
  minBackoffSeconds: 0.05,
  maxBackoffSeconds: 0.1,
  leaseSeconds: 1,
  untilEmpty: true,
  tally: true,
} as const

/** Starts a worker again whenever it has died. Resolves with the number of deaths. */
async function supervise(url: string, options: PollOptions): Promise<number> {
  for (let deaths = 0; ; deaths++) {
    const end = await new WorkerProcess(url, options).end
    if (end === 0) return deaths
    assert.equal(end, 'SIGKILL')
  }
}

describe('packs of workers that die', { concurrency: 2 }, () => {
  for (const parallel of [0, 2]) {
    onEach(
      `a task that kills its workers is isolated in a pack of 3,000 after few deaths: parallel ${parallel}`,
      async queue => {
        const ledger = join(queue.folder, 'ledger')
        const tq = queue.open()
        const tasks = Array.from({ length: 3_000 }, (_, n) =>
          n === 1234 ? partial(killProcess) : partial(leaveLine, ledger),
        )
        await tq.insert(tasks, { pack: 3_000 })
        const deaths = await supervise(queue.url, { ...eager, parallel, maxAttempts: 2 })
        const letters = await deadLettersOf(tq)
        assert.deepEqual(
          letters.map(({ name }) => name),
          ['tasks.killProcess'],
        )
        assert.equal(new Set(linesOf(ledger).map(line => line.split(' ')[0])).size, 2_999, 'each healthy task ran')
        assert.equal(await tq.enqueued(), 0)
        // 3,000 → 188 → 12 → 1; then two attempts alone.
        assert.ok(deaths <= 5, `${deaths} workers died`)
      },
      ['fq'],
    )
  }

  onEach(
    'a worker that is killed at random repeats at most the work since the last checkpoint',
    async queue => {
      const ledger = join(queue.folder, 'ledger')
      const tq = queue.open()
      await tq.insert([partial(noop, 0), ...Array.from({ length: 2_000 }, () => partial(leaveLine, ledger))], {
        pack: 3_000,
      })
      const worker = new WorkerProcess(queue.url, { ...eager, parallel: 1 }, ['deleted'])
      await worker.waitForTimes('deleted', 300)
      worker.kill('SIGKILL')
      await worker.end
      await tq.poll({ ...eager, parallel: 0 })
      const lines = linesOf(ledger).map(line => line.split(' ')[0])
      assert.equal(new Set(lines).size, 2_000)
      assert.equal(await tq.enqueued(), 0)
    },
    ['fq'],
  )

  for (const parallel of [0, 2]) {
    onEach(
      `SIGTERM in a slice of a million: the rest is released, no attempt is counted; parallel ${parallel}`,
      async queue => {
        const tq = queue.open()
        await tq.insert(range(noop, 0, 1_000_000), { pack: 1_000_000 })
        const worker = new WorkerProcess(queue.url, { ...eager, parallel, leaseSeconds: 60 }, ['deleted'])
        await worker.waitForTimes('deleted', 100)
        worker.kill('SIGTERM')
        await worker.end
        const { enqueued, completed, leased } = await tq.status()
        assert.equal(enqueued + completed, 1_000_000)
        assert.equal(leased, 0)
        assert.ok(completed >= 100 && enqueued > 0, `${completed} ran`)
        const rest = await tq.lease({ numTasks: 10 })
        assert.deepEqual(
          rest.map(({ attempt, deaths, failures }) => [attempt, deaths, failures.length]),
          rest.map(() => [1, 0, 0]),
        )
      },
      ['fq'],
    )
  }
})
