// Outcomes of tasks in PostgreSQL: readers beside transactions that are open, long records, tables of the version before.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import pg from 'pg'
import type { Backend } from '#ptq/backend/backend.js'
import { noServer, startServer } from '../../bench/postgres/server.js'
import { readUntilEmpty, sinkOf } from '../results/sinks.js'
import { newName, openQueue, runSql, withoutQueue } from './queue.js'

const skip = await noServer()
const server = skip ? undefined : await startServer()
after(() => server?.close())

async function withQueue(work: (backend: Backend, url: string) => Promise<void>): Promise<void> {
  const url = server?.url(newName()) ?? ''
  const backend = await openQueue(url)
  try {
    await work(backend, url)
  } finally {
    await backend.close()
  }
}

test('records that are committed after later ones are read once', { skip }, () =>
  withQueue(async (backend, url) => {
    const sink = sinkOf(backend)
    await sink.append('r', 'w', ['"first"'])
    const client = new pg.Client({ connectionString: withoutQueue(url) })
    await client.connect()
    const slow = await openQueue(url, { client })
    try {
      await client.query('BEGIN')
      await sinkOf(slow).append('r', 'slow', ['"slow"'])
      await sink.append('r', 'w', ['"second"'])
      const before = await readUntilEmpty(sink, 'r')
      assert.deepEqual(before.records, ['"first"', '"second"'])
      await sink.append('r', 'w', ['"third"'])
      const meanwhile = await readUntilEmpty(sink, 'r', before.cursor)
      assert.deepEqual(meanwhile.records, ['"third"'])
      await client.query('COMMIT')
      const end = await readUntilEmpty(sink, 'r', meanwhile.cursor)
      assert.deepEqual(end.records, ['"slow"'])
      assert.deepEqual((await readUntilEmpty(sink, 'r', end.cursor)).records, [])
    } finally {
      await slow.close()
      await client.end()
    }
  }),
)

test('records of transactions that this server has not had, as of a copied database, are read once', { skip }, () =>
  withQueue(async (backend, url) => {
    const sink = sinkOf(backend)
    await sink.append('r', 'w', ['1'])
    await runSql(url, `UPDATE ptq.results SET stored_by = '9000000000000'`)
    const { records, cursor } = await readUntilEmpty(sink, 'r')
    assert.deepEqual(records, ['1'])
    await sink.append('r', 'w', ['2'])
    assert.deepEqual((await readUntilEmpty(sink, 'r', cursor)).records, ['2'])
  }),
)

test('tables of the version before get those of results, and keep their messages', { skip }, () =>
  withQueue(async (backend, url) => {
    await sinkOf(backend).append('r', 'w', ['1'])
    await backend.addInserted?.(3)
    await runSql(
      url,
      'DROP TABLE ptq.results',
      `DO $$ DECLARE f regprocedure; BEGIN
         SELECT oid::regprocedure INTO f FROM pg_proc WHERE proname = 'results_after'; EXECUTE 'DROP FUNCTION ' || f;
       END $$`,
      'UPDATE ptq.version SET version = 1',
    )
    const later = await openQueue(url)
    try {
      await sinkOf(later).append('r', 'w', ['2'])
      assert.deepEqual((await readUntilEmpty(sinkOf(later), 'r')).records, ['2'])
      assert.equal((await later.counts()).inserted, 3)
    } finally {
      await later.close()
    }
  }),
)
