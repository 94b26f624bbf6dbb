/**
 * The outcomes of runs, in a table: each row has some records, a line each, and the transaction that stored them.
 *
 * Transactions commit in another order than they begin, so a position alone would miss rows. A reader goes through the rows that were
 * not visible in the snapshot with which it began the time before: no append waits for another one, and no row is missed.
 */
import { asciiJson } from '../../backend/envelope.js'
import type { ResultPage, ResultSink } from '../../backend/result-sink.js'
import { type PostgresQueue, queueId } from './queue.js'

/** The length of the records of a row, and of a page, unless one is longer. Characters; bytes. */
const rowLength = 256 << 10
const pageBytes = 2 << 20

/** Rows of a page, and of one transaction that removes. */
const pageRows = 1_000
const removedRows = 10_000

const appendStatement = `
  INSERT INTO ptq.results (queue, run, records, bytes)
  SELECT id, $2, row, octet_length(row) FROM ptq.queues, unnest($3::text[]) AS row WHERE name = $1 RETURNING queue`

const readStatement = `
  SELECT page.records, page.stored_by, page.n, page.bytes, pg_current_snapshot()
  FROM ptq.results_after($1, $2, $3::pg_snapshot, $4::xid8, $5, $6, $7) AS page`

const snapshotStatement = 'SELECT pg_current_snapshot()'

/** From one name to the next: of a run of a million records, one is read. */
const runsStatement = `
  WITH RECURSIVE found AS (
    SELECT min(run) AS run FROM ptq.results WHERE queue = ${queueId}
    UNION ALL SELECT (SELECT min(run) FROM ptq.results WHERE queue = ${queueId} AND run > found.run) FROM found WHERE found.run IS NOT NULL
  ) SELECT run FROM found WHERE run IS NOT NULL`

const dropStatement = `
  WITH gone AS (
    DELETE FROM ptq.results WHERE ctid = ANY (ARRAY(
      SELECT place FROM ptq.results_after($1, $2, NULL, $3::xid8, $4, $5, ${Number.MAX_SAFE_INTEGER})
    )) RETURNING stored_by, n
  ) SELECT stored_by, n FROM gone ORDER BY stored_by DESC, n DESC`

/** The position of a reader. */
interface Cursor {
  /** What was visible in this snapshot was read. */
  readonly read: string | undefined
  /** Taken before the reading that goes on now; `undefined` where the last one came to its end. */
  readonly reading: string | undefined
  /** The last row that was read. */
  readonly transaction: string
  readonly n: string
}

const beginning: Cursor = { read: undefined, reading: undefined, transaction: '0', n: '0' }

export class PostgresResults implements ResultSink {
  readonly #queue: PostgresQueue
  readonly #isUnicode: boolean

  /** @param isUnicode the database stores every character */
  constructor(queue: PostgresQueue, isUnicode: boolean) {
    this.#queue = queue
    this.#isUnicode = isUnicode
  }

  async append(run: string, _writer: string, records: readonly string[]): Promise<void> {
    if (records.length === 0) return
    const queue = this.#queue
    const rows = rowsOf(this.#isUnicode ? records : records.map(asciiJson))
    await queue.withQueue(async () => {
      const stored = await queue.connection.run('store results in', query =>
        query(appendStatement, [queue.name, run, rows]),
      )
      return stored[0]
    })
  }

  async read(run: string, given: unknown): Promise<ResultPage> {
    const queue = this.#queue
    const cursor = (given as Cursor | undefined) ?? beginning
    const page = await queue.whereTablesExist(() =>
      queue.connection.run('read results of', async query => {
        const reading = cursor.reading ?? (await query(snapshotStatement))[0]?.[0] ?? undefined
        const values = [queue.name, run, cursor.read, cursor.transaction, cursor.n, pageRows, pageBytes]
        return { reading, rows: await query(readStatement, values) }
      }),
    )
    if (page === undefined) return { records: [], cursor }
    const { reading, rows } = page
    const records = rows.flatMap(([text]) => (text ?? '').split('\n'))
    const [, transaction, n] = rows.at(-1) ?? []
    if (transaction == null || n == null) return { records, cursor: { ...beginning, read: reading } }
    return { records, cursor: { read: cursor.read, reading, transaction, n } satisfies Cursor }
  }

  async runs(): Promise<readonly string[]> {
    const rows = (await this.#queue.read('list the results of', runsStatement)) ?? []
    return rows.flatMap(([run]) => (run == null ? [] : [run]))
  }

  async drop(run: string): Promise<void> {
    // Behind what was removed, which stays in the index for a while.
    let [transaction, n]: readonly (string | null)[] = ['0', '0']
    for (;;) {
      const rows = await this.#queue.read('remove results of', dropStatement, [run, transaction, n, removedRows])
      const last = rows?.[0]
      if (last === undefined) return
      ;[transaction = '0', n = '0'] = last
    }
  }

  /** Removes all runs. */
  async clear(): Promise<void> {
    for (const run of await this.runs()) await this.drop(run)
  }
}

/** Joins records to rows of a bounded length. */
function rowsOf(records: readonly string[]): readonly string[] {
  const rows: string[] = []
  let parts: string[] = []
  let length = 0
  for (const record of records) {
    if (parts.length > 0 && length + record.length > rowLength) {
      rows.push(parts.join('\n'))
      parts = []
      length = 0
    }
    parts.push(record)
    length += record.length + 1
  }
  if (parts.length > 0) rows.push(parts.join('\n'))
  return rows
}
