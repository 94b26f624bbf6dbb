// Outcomes of tasks with queues of servers: `map`, `results`, the command line, and long records.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { TaskQueue } from 'ptq'
import { parseQueueUrl } from '#ptq/backend/queue-url.js'
import { inFolder, runCli } from '../cli/run-cli.js'
import { places } from './server-places.js'
import { readUntilEmpty, sinkOf } from './sinks.js'
import { mixed } from './tasks.js'

for (const { name, opener, skip, start } of places) {
  const urlOf = skip ? undefined : await start()
  const newUrl = () => urlOf?.(`test-${randomUUID()}`) ?? ''

  test(`${name}: map, results and ptq results without another queue named`, { skip }, () =>
    inFolder(async cwd => {
      const url = newUrl()
      await using queue = new TaskQueue(url)
      const end = new AbortController()
      const worker = queue.poll({ parallel: 0, maxAttempts: 1, maxBackoffSeconds: 1, signal: end.signal })
      const ok = new Map<number, boolean>()
      const inputs = Array.from({ length: 50 }, (_, n) => n)
      for await (const result of queue.map(mixed, inputs, { run: 'monday' })) {
        assert.ok(!ok.has(result.index))
        ok.set(result.index, result.ok)
      }
      end.abort()
      await worker
      assert.deepEqual(
        [...ok.keys()].sort((a, b) => a - b),
        inputs,
      )
      assert.equal([...ok.values()].filter(is => !is).length, 10)
      const printed = await runCli(['results', url, 'monday'], { cwd })
      assert.equal(printed.stdout.trim().split('\n').length, 50, printed.stderr)
      await queue.dropResults('monday')
      assert.deepEqual(await queue.resultRuns(), [])
    }),
  )

  test(`${name}: pages of long records are bounded, and whole`, { skip }, async () => {
    const backend = await opener.open(parseQueueUrl(newUrl(), { cwd: '/', home: '/' }), {})
    try {
      const sink = sinkOf(backend)
      const long = JSON.stringify('x'.repeat(1_000_000))
      const short = Array.from({ length: 3_000 }, (_, n) => String(n))
      for (const records of [short, [long, long, long], short, [long, long, long, long, long, long], short]) {
        await sink.append('r', 'w', records)
      }
      const { records, longestPage } = await readUntilEmpty(sink, 'r')
      assert.equal(records.length, 9_009)
      assert.equal(records.filter(record => record === long).length, 9)
      assert.ok(longestPage < 8_000_000, `a page of ${longestPage} characters`)
    } finally {
      await backend.close()
    }
  })
}
