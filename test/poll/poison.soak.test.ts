import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'node:test'
import { type PollOptions, partial } from 'ptq'
import { deadLettersOf } from './dead-letters.js'
import { linesOf } from './ledger.js'
import { WorkerProcess } from './processes.js'
import { onEach, type TestQueue } from './queues.js'
import { abortProcess, killProcess, leaveLine } from './tasks.js'

/** Runs of each mix; set it for longer searches. */
const runs = Number(process.env.PTQ_POISON_RUNS ?? 1)

/**
 * Restarts a worker whenever it dies, like a supervisor, until it ends normally. Resolves with the number of deaths.
 */
async function supervise(url: string, options: PollOptions): Promise<number> {
  for (let deaths = 0; ; deaths++) {
    const end = await new WorkerProcess(url, options).end
    if (end === 0) return deaths
    assert.ok(end === 'SIGKILL' || end === 'SIGABRT', `a worker ended with ${end}`)
  }
}

async function poison(queue: TestQueue, mix: { healthy: number; workers: number; options: PollOptions }) {
  const ledger = join(queue.folder, 'ledger')
  const tq = queue.open()
  const killers = Array.from({ length: 5 }, (_, n) => partial(n % 2 === 0 ? killProcess : abortProcess))
  const healthy = Array.from({ length: mix.healthy }, () => partial(leaveLine, ledger))
  await tq.insert([...healthy, ...killers])
  const ids = new Set<string>()
  for await (const { id, name } of tq.tasks()) if (name === 'tasks.leaveLine') ids.add(id)
  const options = { minBackoffSeconds: 0.05, maxBackoffSeconds: 0.1, leaseSeconds: 1, untilEmpty: true, ...mix.options }
  const deaths = await Promise.all(Array.from({ length: mix.workers }, () => supervise(queue.url, options)))
  const letters = await deadLettersOf(tq)
  assert.deepEqual(
    letters.map(({ name }) => name).sort(),
    ['tasks.abortProcess', 'tasks.abortProcess', 'tasks.killProcess', 'tasks.killProcess', 'tasks.killProcess'],
    'the dead letters',
  )
  for (const { failures } of letters) assert.match(failures.at(-1)?.reason ?? '', /^The attempts are over: in \d /)
  const ran = new Set(linesOf(ledger).map(line => line.split(' ')[0] ?? ''))
  assert.deepEqual(ran, ids, 'each healthy task ran')
  assert.equal(await tq.enqueued(), 0)
  const most = killers.length * (3 + (mix.options.maxAttempts ?? 5))
  const died = deaths.reduce((sum, number) => sum + number, 0)
  assert.ok(died <= most, `${died} workers died, ${most} at most`)
  rmSync(ledger)
}

describe('only tasks that kill their worker become dead letters', { concurrency: 2 }, () => {
  const mixes = [
    [100, 1, { parallel: 0, maxAttempts: 1 }],
    [100, 2, { parallel: 2, maxAttempts: 2 }],
    [1000, 1, { parallel: 1, maxAttempts: 1 }],
    [100, 1, { parallel: 1 }],
    [100, 1, { parallel: 2 }],
    [1000, 2, { parallel: 0 }],
  ] as const
  for (const [healthy, workers, options] of runs === 1 ? mixes.slice(0, 3) : mixes) {
    const { parallel, maxAttempts = 5 } = { maxAttempts: undefined, ...options }
    const title = `${healthy} healthy tasks, ${workers} workers, parallel ${parallel}, maxAttempts ${maxAttempts}`
    for (let run = 1; run <= runs; run++) {
      onEach(runs === 1 ? title : `${title}, run ${run}`, queue => poison(queue, { healthy, workers, options }), ['fq'])
    }
  }
})
