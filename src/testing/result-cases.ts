/** Cases of backends that keep outcomes of tasks. */
import assert from 'node:assert/strict'
import type { Backend } from '../backend/backend.js'
import type { ResultSink } from '../backend/result-sink.js'
import type { ConformanceCase } from './queue-under-test.js'

const leftOut = ({ results }: Backend): string | undefined =>
  results === undefined ? 'it keeps no outcomes of tasks, results' : undefined

function resultsOf(backend: Backend): ResultSink {
  assert.ok(backend.results !== undefined)
  return backend.results
}

/** Reads until two pages in a row are empty. */
async function readAll(sink: ResultSink, run: string, from?: unknown): Promise<{ records: string[]; cursor: unknown }> {
  const records: string[] = []
  let cursor = from
  for (let empty = 0; empty < 2; ) {
    const page = await sink.read(run, cursor)
    cursor = page.cursor
    records.push(...page.records)
    empty = page.records.length === 0 ? empty + 1 : 0
  }
  return { records, cursor }
}

export const resultCases: readonly ConformanceCase[] = [
  {
    name: 'records of several writers are all read, by an earlier and by a later reader',
    leftOut,
    async run(queue) {
      const sink = resultsOf(queue.backend)
      const other = resultsOf(await queue.open())
      const early = await readAll(sink, 'monday')
      assert.deepEqual(early.records, [])
      const records = Array.from({ length: 3_000 }, (_, n) => JSON.stringify({ n, text: 'é\u2028"\\' }))
      const parts = Array.from({ length: 30 }, (_, n) => records.slice(n * 100, n * 100 + 100))
      await Promise.all(parts.map((part, n) => (n % 2 === 0 ? sink : other).append('monday', `worker.${n % 3}`, part)))
      await other.append('tuesday', 'worker.0', ['{}'])
      const goneOn = await readAll(sink, 'monday', early.cursor)
      const sorted = [...records].sort()
      assert.deepEqual([...new Set(goneOn.records)].sort(), sorted)
      assert.deepEqual([...new Set((await readAll(other, 'monday')).records)].sort(), sorted)
      await sink.append('monday', 'worker.0', ['{"last":true}'])
      assert.deepEqual((await readAll(sink, 'monday', goneOn.cursor)).records, ['{"last":true}'])
    },
  },
  {
    name: 'runs are listed, dropped one by one, and removed by a purge',
    leftOut,
    async run(queue) {
      const sink = resultsOf(queue.backend)
      assert.deepEqual(await sink.runs(), [])
      for (const run of ['a', 'b.2', 'C_-']) await sink.append(run, 'worker.0', ['{}'])
      assert.deepEqual([...(await sink.runs())].sort(), ['C_-', 'a', 'b.2'])
      await sink.drop('b.2')
      await sink.drop('nothing')
      assert.deepEqual([...(await sink.runs())].sort(), ['C_-', 'a'])
      assert.deepEqual((await readAll(sink, 'b.2')).records, [])
      assert.deepEqual((await readAll(sink, 'a')).records, ['{}'])
      await queue.backend.purge({ native: false })
      assert.deepEqual(await sink.runs(), [])
    },
  },
]
