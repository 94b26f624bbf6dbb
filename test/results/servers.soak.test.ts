// Outcomes in PostgreSQL and Redis across processes: a worker that is killed, a million records.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { TaskQueue } from 'ptq'
import { parseQueueUrl } from '#ptq/backend/queue-url.js'
import { readResults } from '#ptq/results/read-results.js'
import { successRecord, totalRecord } from '#ptq/results/result-record.js'
import { ended, inFolder, startCli } from '../cli/run-cli.js'
import { places } from './server-places.js'
import { sinkOf } from './sinks.js'
import { slowly } from './tasks.js'

const tasksFile = join(import.meta.dirname, 'tasks.js')

for (const { name, opener, skip, start } of places) {
  const urlOf = skip ? undefined : await start()
  const newUrl = () => urlOf?.(`test-${randomUUID()}`) ?? ''

  test(`${name}: each input yields exactly one outcome when one of three workers is killed`, { skip }, () =>
    inFolder(async cwd => {
      const url = newUrl()
      await using queue = new TaskQueue(url)
      const args = ['poll', url, '--load', tasksFile, '--lease-sec', '2', '--max-backoff-sec', '1']
      const workers = [0, 1, 2].map(() => startCli(args, { cwd }))
      const ends = workers.map(ended)
      const inputs = Array.from({ length: 600 }, (_, n) => n)
      const indices: number[] = []
      for await (const result of queue.map(
        slowly,
        inputs.map(n => n % 7),
      )) {
        assert.ok(result.ok)
        assert.equal(result.value, result.index % 7)
        indices.push(result.index)
        if (indices.length === 50) workers[0]?.kill('SIGKILL')
      }
      assert.deepEqual(
        indices.sort((a, b) => a - b),
        inputs,
      )
      for (const worker of workers) worker.kill('SIGTERM')
      await Promise.all(ends)
    }),
  )

  test(`${name}: 1,000,000 outcomes are read with constant memory, and dropped`, { skip }, async () => {
    const backend = await opener.open(parseQueueUrl(newUrl(), { cwd: '/', home: '/' }), {})
    const sink = sinkOf(backend)
    const count = 1_000_000
    const perAppend = 10_000
    for (let first = 0; first < count; first += perAppend) {
      const records = Array.from({ length: perAppend }, (_, n) => successRecord(first + n, 'id', 1, { n: first + n }))
      await sink.append('r', 'worker', records)
    }
    await sink.append('r', 'inserter', [totalRecord(count)])
    let read = 0
    let peakMb = 0
    const { signal } = new AbortController()
    const before = process.memoryUsage().rss / 1e6
    for await (const result of readResults(sink, 'r', { wait: true, isEmpty: async () => false, signal })) {
      assert.ok(result.ok)
      if (++read % 50_000 === 0) peakMb = Math.max(peakMb, process.memoryUsage().rss / 1e6 - before)
    }
    assert.equal(read, count)
    assert.ok(peakMb < 150, `${peakMb} MB more than before`)
    await sink.drop('r')
    assert.deepEqual(await sink.runs(), [])
    await backend.close()
  })
}
