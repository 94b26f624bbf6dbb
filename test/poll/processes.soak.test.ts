import assert from 'node:assert/strict'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { LeaseLostError, partial, type TaskQueue } from 'ptq'
import { deadLettersOf } from './dead-letters.js'
import { linesOf } from './ledger.js'
import { WorkerProcess } from './processes.js'
import { onEach as onEachKind, type TestQueue, task } from './queues.js'
import { leaveLine, waitForFile } from './tasks.js'

const eager = { minBackoffSeconds: 0.05, maxBackoffSeconds: 0.2 } as const

/** Only a file queue is shared by processes. */
function onFiles(
  name: string,
  run: (queue: TestQueue, place: { ledger: string; file: string }) => Promise<void>,
): void {
  onEachKind(name, queue => run(queue, { ledger: join(queue.folder, 'ledger'), file: join(queue.folder, 'go') }), [
    'fq',
  ])
}

/** Resolves when the ledger has at least `lines` lines: its writers have no other channel. */
async function linesAtLeast(ledger: string, lines: number, lineBytes = 40): Promise<void> {
  while ((statSync(ledger, { throwIfNoEntry: false })?.size ?? 0) < lines * lineBytes) await sleep(5)
}

async function idsOf(tq: TaskQueue): Promise<string[]> {
  const ids: string[] = []
  for await (const { id } of tq.tasks()) ids.push(id)
  return ids.sort()
}

function ranIds(ledger: string): string[] {
  return linesOf(ledger).map(line => line.split(' ')[0] ?? '')
}

describe('signals', { concurrency: 3 }, () => {
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const) {
    onFiles(
      `the first ${signal} lets running tasks finish and releases the rest; the exit code names the signal`,
      async (queue, place) => {
        const tq = queue.open()
        await tq.insert(Array.from({ length: 4 }, () => partial(waitForFile, place.ledger, place.file)))
        const worker = new WorkerProcess(queue.url, { parallel: 2, tally: true }, ['leased'])
        await linesAtLeast(place.ledger, 2)
        worker.kill(signal)
        await worker.waitFor(signal)
        writeFileSync(place.file, '')
        assert.equal(await worker.end, code)
        assert.equal(worker.ran, 2)
        const { enqueued, leased, completed } = await tq.status()
        assert.deepEqual({ enqueued, leased, completed }, { enqueued: 2, leased: 0, completed: 2 })
        for (const { attempt } of await tq.lease({ numTasks: 5 })) assert.equal(attempt, 1)
      },
    )
  }

  for (const parallel of [0, 2]) {
    onFiles(
      `a second signal exits at once, and running tasks are released: parallel ${parallel}`,
      async (queue, place) => {
        const tq = queue.open()
        await tq.insert(Array.from({ length: 4 }, () => partial(waitForFile, place.ledger, place.file)))
        const worker = new WorkerProcess(queue.url, { parallel })
        await linesAtLeast(place.ledger, Math.max(1, parallel))
        worker.kill('SIGTERM')
        // A second signal of the same kind that follows at once counts as one.
        worker.kill('SIGINT')
        const end = await worker.end
        assert.ok(end === 130 || end === 143, `ended with ${end}`)
        assert.equal(worker.ran, undefined)
        const { enqueued, leased } = await tq.status()
        assert.deepEqual({ enqueued, leased }, { enqueued: 4, leased: 0 })
        for (const { attempt } of await tq.lease({ numTasks: 5 })) assert.equal(attempt, 1)
      },
    )
  }

  onFiles('a worker without tasks ends at once, and leaves no status', async queue => {
    await queue.open().insert([])
    const worker = new WorkerProcess(queue.url, { minBackoffSeconds: 3600, maxBackoffSeconds: 3600 }, ['idle'])
    await worker.waitFor('idle')
    worker.kill('SIGTERM')
    assert.equal(await worker.end, 143)
    assert.equal(worker.ran, 0)
  })

  onFiles('SIGTERM during a drain leaves no task leased, and no task runs twice', async (queue, { ledger }) => {
    const tq = queue.open()
    await tq.insert(Array.from({ length: 6_000 }, () => partial(leaveLine, ledger)))
    const workers = [1, 2].map(() => new WorkerProcess(queue.url, { ...eager, parallel: 2, tally: true }))
    await linesAtLeast(ledger, 500)
    for (const worker of workers) worker.kill('SIGTERM')
    const ends = await Promise.all(workers.map(({ end }) => end))
    assert.deepEqual(ends, [143, 143])
    const ran = ranIds(ledger)
    const { enqueued, leased, completed } = await tq.status()
    assert.equal(leased, 0)
    assert.equal(new Set(ran).size, ran.length)
    assert.equal(completed, ran.length)
    assert.equal(enqueued, 6_000 - ran.length)
    assert.equal(
      workers.reduce((sum, worker) => sum + (worker.ran ?? Number.NaN), 0),
      ran.length,
    )
  })
})

describe('workers that die', { concurrency: 2 }, () => {
  onFiles(
    'each task completes when four workers drain 20,000 tasks and some are killed and restarted',
    async (queue, { ledger }) => {
      const total = 20_000
      const tq = queue.open()
      await tq.insert(Array.from({ length: total }, () => partial(leaveLine, ledger)))
      const ids = await idsOf(tq)
      const start = () =>
        new WorkerProcess(queue.url, { ...eager, parallel: 2, leaseSeconds: 2, untilEmpty: true, tally: true })
      const workers = [start(), start(), start(), start()]
      const kills = 5
      for (let kill = 1; kill <= kills; kill++) {
        await linesAtLeast(ledger, (total * (kill - Math.random())) / (kills + 1))
        const victim = Math.floor(Math.random() * workers.length)
        workers[victim]?.kill('SIGKILL')
        await workers[victim]?.end
        workers[victim] = start()
      }
      assert.deepEqual(await Promise.all(workers.map(({ end }) => end)), [0, 0, 0, 0])
      assert.deepEqual([...new Set(ranIds(ledger))].sort(), ids)
      const { enqueued, completed } = await tq.status()
      assert.equal(enqueued, 0)
      // A worker killed between a deletion and its tally leaves that batch uncounted; nothing is counted twice.
      assert.ok(completed <= total && completed >= total - kills * 100, `${completed} completions`)
      assert.deepEqual(await deadLettersOf(tq), [])
    },
  )

  onFiles(
    'a worker that slept through its lease cannot delete the task of the next holder',
    async (queue, { ledger, file }) => {
      const tq = queue.open()
      await tq.insert([partial(waitForFile, ledger, file)])
      const sleeper = new WorkerProcess(queue.url, { ...eager, parallel: 1, leaseSeconds: 1 }, ['lost'])
      await linesAtLeast(ledger, 1)
      sleeper.kill('SIGSTOP')
      const [theirs] = await tq.lease({ seconds: 600, waitSeconds: 20 })
      assert.equal(theirs?.attempt, 2)
      writeFileSync(file, '')
      sleeper.kill('SIGCONT')
      await sleeper.waitFor('lost')
      sleeper.kill('SIGTERM')
      assert.equal(await sleeper.end, 143)
      assert.equal(sleeper.ran, 0)
      const { enqueued, leased } = await tq.status()
      assert.deepEqual({ enqueued, leased }, { enqueued: 1, leased: 1 })
      assert.equal(await tq.delete(theirs), 1)
      await assert.rejects(tq.delete(theirs), LeaseLostError)
    },
  )

  onFiles(
    'a task longer than its lease runs once while other workers look for tasks',
    async (queue, { ledger, file }) => {
      const tq = queue.open()
      await tq.insert([partial(waitForFile, ledger, file), task('noop', 1)])
      const options = { ...eager, parallel: 1, leaseSeconds: 2, untilEmpty: true }
      const workers = [1, 2].map(() => new WorkerProcess(queue.url, options, ['renewed']))
      await linesAtLeast(ledger, 1)
      const [pid] = linesOf(ledger).map(line => Number(line.split(' ')[2]))
      assert.ok(pid)
      // The worker that runs it renews; the other looks for work for several leases.
      const until = performance.now() + 5_000
      while (performance.now() < until || !workers.some(({ words }) => words.length >= 3)) await sleep(20)
      writeFileSync(file, '')
      assert.deepEqual(await Promise.all(workers.map(({ end }) => end)), [0, 0])
      assert.equal(
        workers.reduce((sum, { ran }) => sum + (ran ?? Number.NaN), 0),
        2,
      )
      assert.equal(linesOf(ledger).length, 1)
    },
  )
})
