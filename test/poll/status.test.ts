import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, mock } from 'node:test'
import { partial, type WorkerStatus } from 'ptq'
import { StatusReporter } from '#ptq/poll/status-reporter.js'
import { WorkRecord } from '#ptq/poll/work-record.js'
import { toCall } from '#ptq/threads/call.js'
import type { RunningCall } from '#ptq/threads/run-options.js'
import { ManualClock } from '#ptq/time/clock.js'
import { event, onEach, type TestQueue, task } from './queues.js'
import { noop } from './tasks.js'

const status = (pid: number): WorkerStatus => ({
  host: 'far',
  pid,
  threads: 2,
  startedAtMs: 1,
  writtenAtMs: 2,
  executed: 3,
  failed: 4,
  tasksPerSecond: 5.5,
  rssMb: 60,
  running: [{ id: 'a', name: 'tasks.noop', startedAtMs: 1, fraction: undefined, note: undefined }],
})

describe('the status of workers', () => {
  onEach('can be read while they work, and is removed afterwards', async queue => {
    const tq = queue.open()
    await tq.insert([partial(noop, 1)])
    assert.deepEqual(await tq.workers(), [])
    const stop = new AbortController()
    const idle = event(tq.events, 'idle')
    const polling = tq.poll({ parallel: 2, signal: stop.signal, minBackoffSeconds: 3600, maxBackoffSeconds: 3600 })
    await idle
    const reader = queue.open()
    let [worker] = await reader.workers()
    // It is on its way to the disk.
    for (; worker === undefined; [worker] = await reader.workers());
    const { host, pid, threads } = worker
    assert.deepEqual({ host, pid, threads }, { host: hostname(), pid: process.pid, threads: 2 })
    assert.ok(worker.rssMb > 10 && worker.startedAtMs <= worker.writtenAtMs)
    stop.abort()
    await polling
    assert.deepEqual(await tq.workers(), [])
  })

  onEach('contains the running tasks with their start and last progress, and the rate', async queue => {
    await queue.open().insert([task('noop', 1)])
    const backend = await queue.backend()
    const record = new WorkRecord(new ManualClock())
    mock.timers.enable({ apis: ['setInterval', 'Date'], now: 1_000_000 })
    try {
      const reporter = new StatusReporter(backend, 2, record, () => Date.now())
      const calls = Array.from({ length: 101 }, (_, n) => toCall(partial(noop, n), `id${n}`, 1))
      let running: RunningCall[] = []
      reporter.start({ running: max => running.slice(0, max) })
      const written = async (at: number) => {
        for (;;) {
          const [worker] = (await backend.workers?.()) ?? []
          if (worker?.writtenAtMs === at) return worker
        }
      }
      assert.deepEqual((await written(1_000_000)).running, [])
      running = calls.map(call => ({ call, startedAtMs: 1_000_500 }))
      const [first, second] = calls
      assert.ok(first && second)
      reporter.progress(first, 0.25, 'loading')
      reporter.progress(second, 0.5, undefined)
      reporter.end(second)
      record.executed = 50
      record.failed = 2
      mock.timers.tick(5_000)
      const worker = await written(1_005_000)
      assert.deepEqual(worker.running.slice(0, 2), [
        { id: 'id0', name: 'tasks.noop', startedAtMs: 1_000_500, fraction: 0.25, note: 'loading' },
        { id: 'id1', name: 'tasks.noop', startedAtMs: 1_000_500, fraction: undefined, note: undefined },
      ])
      assert.equal(worker.running.length, 100)
      assert.deepEqual([worker.executed, worker.failed, worker.tasksPerSecond], [50, 2, 10])
      await reporter.close()
      assert.deepEqual(await backend.workers?.(), [])
    } finally {
      mock.timers.reset()
    }
  })
})

describe('the status files of workers', () => {
  const onFiles = (name: string, run: (queue: TestQueue, folder: string) => Promise<void>) =>
    onEach(
      name,
      async queue => {
        await queue.open().insert([partial(noop, 1)])
        await run(queue, join(queue.folder, 'queue/workers'))
      },
      ['fq'],
    )

  const age = (path: string, seconds: number) => {
    const atSeconds = Date.now() / 1000 - seconds
    utimesSync(path, atSeconds, atSeconds)
  }

  onFiles('are one for each worker, written atomically, and removed when it ends', async (queue, folder) => {
    const backend = await queue.backend()
    await backend.reportWorker?.('one', status(1))
    await backend.reportWorker?.('a/b c', status(2))
    await backend.reportWorker?.('one', status(3))
    assert.deepEqual(readdirSync(folder).sort(), ['a%2Fb%20c.json', 'one.json'])
    const found = (await backend.workers?.()) ?? []
    assert.deepEqual(
      [...found].sort((a, b) => a.pid - b.pid),
      [status(2), status(3)],
    )
    assert.deepEqual(readdirSync(join(queue.folder, 'queue/staging')), [])
    await backend.reportWorker?.('one', undefined)
    await backend.reportWorker?.('one', undefined)
    assert.deepEqual(await backend.workers?.(), [status(2)])
    assert.equal((await backend.counts()).enqueued, 1)
  })

  onFiles('of workers that died are ignored, and removed later', async (queue, folder) => {
    const backend = await queue.backend()
    for (const [pid, name] of ['alive', 'silent', 'gone'].entries()) await backend.reportWorker?.(name, status(pid))
    age(join(folder, 'silent.json'), 70)
    age(join(folder, 'gone.json'), 3_700)
    assert.deepEqual(await backend.workers?.(), [status(0)])
    assert.equal(readdirSync(folder).length, 3, 'who reads changes nothing')
    await (await queue.backend()).reportWorker?.('new', status(9))
    assert.deepEqual(readdirSync(folder).sort(), ['alive.json', 'new.json', 'silent.json'])
  })

  onFiles('of many dead workers are removed a few at each start', async (queue, folder) => {
    const backend = await queue.backend()
    for (let pid = 0; pid < 40; pid++) {
      await backend.reportWorker?.(`gone${pid}`, status(pid))
      age(join(folder, `gone${pid}.json`), 3_700)
    }
    await (await queue.backend()).reportWorker?.('new', status(99))
    // Its own file may be among the sixteen that it checks.
    const left = readdirSync(folder).length
    assert.ok(left === 25 || left === 26, `${left} left`)
  })

  onFiles('are written less often if there are very many', async (queue, folder) => {
    mkdirSync(folder)
    for (let other = 0; other < 1_000; other++) writeFileSync(join(folder, `other${other}.json`), '')
    const backend = await queue.backend()
    const written = () => JSON.parse(readFileSync(join(folder, 'one.json'), 'utf8')).pid
    await backend.reportWorker?.('one', status(1))
    await backend.reportWorker?.('one', status(2))
    assert.equal(written(), 1)
    await backend.reportWorker?.('one', undefined)
    await backend.reportWorker?.('one', status(3))
    assert.equal(written(), 3)
  })

  onFiles('are the only files there that are removed', async (queue, folder) => {
    const backend = await queue.backend()
    await backend.reportWorker?.('one', status(1))
    writeFileSync(join(folder, 'broken.json'), '{"host": ')
    writeFileSync(join(folder, 'other.json'), '{"host": 5}')
    writeFileSync(join(folder, 'notes.txt'), 'x')
    mkdirSync(join(folder, 'folder.json'))
    assert.deepEqual(await backend.workers?.(), [status(1)])
  })

  onFiles('are written into a queue that Python created, and nowhere if there is no queue', async (queue, folder) => {
    rmSync(join(queue.folder, 'queue/staging'), { recursive: true })
    const backend = await queue.backend()
    await backend.reportWorker?.('one', status(1))
    assert.deepEqual(await backend.workers?.(), [status(1)])
    rmSync(join(queue.folder, 'queue'), { recursive: true })
    await backend.reportWorker?.('one', status(1))
    await backend.reportWorker?.('one', undefined)
    assert.deepEqual(await backend.workers?.(), [])
    assert.equal(existsSync(folder), false)
    assert.equal(existsSync(join(queue.folder, 'queue')), false)
  })
})
