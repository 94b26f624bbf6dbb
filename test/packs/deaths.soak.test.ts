import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe } from 'node:test'
import { partial } from 'ptq'
import { deadLettersOf } from '../poll/dead-letters.js'
import { linesOf } from '../poll/ledger.js'
import { WorkerProcess } from '../poll/processes.js'
import { onEach } from '../poll/queues.js'
import { killProcess, leaveLine } from '../poll/tasks.js'

const SIZE = 10_000
const KILLS = 6

const eager = {
  minBackoffSeconds: 0.05,
  maxBackoffSeconds: 0.1,
  leaseSeconds: 1,
  untilEmpty: true,
  tally: true,
} as const

describe('a pack of 10,000 with a task that kills its worker', { concurrency: 2 }, () => {
  for (const parallel of [0, 2]) {
    onEach(
      `whose workers are also killed at random: each healthy task runs, none becomes a dead letter; parallel ${parallel}`,
      async queue => {
        const ledger = join(queue.folder, 'ledger')
        const tq = queue.open()
        const tasks = Array.from({ length: SIZE }, (_, n) =>
          n === 4_321 ? partial(killProcess) : partial(leaveLine, ledger),
        )
        await tq.insert(tasks, { pack: SIZE })
        const runs = () => linesOf(ledger).map(line => line.split(' ')[0])
        let deaths = 0
        let repeatable = 0
        for (;;) {
          const worker = new WorkerProcess(queue.url, { ...eager, parallel, maxAttempts: 2 }, ['deleted'])
          if (deaths < KILLS) {
            // After a random number of tasks, if it lives so long.
            const tasksFirst = Math.ceil(Math.random() * 2_000)
            await Promise.race([worker.waitForTimes('deleted', tasksFirst), worker.end])
            worker.kill('SIGKILL')
          }
          const end = await worker.end
          // What it ran may be repeated: it is written down every 5 seconds.
          if (end === 0) break
          assert.equal(end, 'SIGKILL')
          deaths++
          repeatable += worker.count('deleted') + 1_000
        }
        const distinct = new Set(runs())
        assert.equal(distinct.size, SIZE - 1, 'each healthy task ran')
        assert.ok(runs().length - distinct.size <= repeatable, `${runs().length} runs, ${repeatable} may be repeated`)
        const letters = await deadLettersOf(tq)
        assert.deepEqual(
          letters.map(({ name }) => name),
          ['tasks.killProcess'],
        )
        assert.equal(await tq.enqueued(), 0)
      },
      ['fq'],
    )
  }
})
