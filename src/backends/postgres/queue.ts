/** One queue in a database: what its verbs share. */
import { isError } from '../../errors/thrown.js'
import { type Connection, ownError, type Query, type Row } from './connection.js'
import { isMissingTable } from './faults.js'
import { makeTables } from './schema.js'

/** The id of the queue whose name is the first value of a statement; null where there is no such queue. */
export const queueId = '(SELECT id FROM ptq.queues WHERE name = $1)'

/** No message has it. */
export const lowestId = '00000000-0000-0000-0000-000000000000'

/** One in this number of additions to the counts is followed by replacing them by their sum. */
const additionsPerFold = 200

/** Maximum number of rows of additions that are replaced at once. */
const foldedRows = 10_000

/** A queue in a database. */
export class PostgresQueue {
  readonly connection: Connection
  /** The name in the URL, which is the first value of every statement. */
  readonly name: string
  readonly #tables: { exist: boolean }
  readonly #background = new Set<Promise<unknown>>()

  constructor(connection: Connection, name: string, hasTables: boolean) {
    this.connection = connection
    this.name = name
    this.#tables = { exist: hasTables }
  }

  get label(): string {
    return this.connection.label
  }

  /**
   * Runs one statement that changes nothing if there is no queue. `undefined`: there are no tables yet.
   *
   * @param values the queue's name goes before them
   */
  async read(doing: string, text: string, values: readonly unknown[] = []): Promise<readonly Row[] | undefined> {
    return this.whereTablesExist(() => this.connection.run(doing, query => query(text, [this.name, ...values])))
  }

  /** `undefined` where there are no tables. */
  async whereTablesExist<T>(work: () => Promise<T>): Promise<T | undefined> {
    // In a transaction of the caller's, a failed statement would end it; and its tables are gone if it is rolled back.
    const areThere = this.#tables.exist && !this.connection.isCallers
    if (!areThere && !(await this.#lookForTables())) return undefined
    try {
      return await work()
    } catch (error) {
      if (!isMissingTable(isError(error) ? error.cause : error)) throw error
      this.#tables.exist = false
      return undefined
    }
  }

  /**
   * Runs statements that need the queue to be there: where it isn't, it is made and they are run again.
   *
   * @param work resolves with `undefined` where the queue isn't there, and has then changed nothing
   */
  async withQueue<T>(work: () => Promise<T | undefined>): Promise<T> {
    for (let made = 0; ; made++) {
      const result = await this.whereTablesExist(work)
      if (result !== undefined) return result
      if (made === 2) throw ownError(new Error(`${this.label} was removed while it was used`))
      // A transaction of a caller's that makes tables holds the lock of the schema until it ends.
      if (!this.#tables.exist) await makeTables(this.connection)
      this.#tables.exist = true
      await this.connection.run('make', query =>
        query('INSERT INTO ptq.queues (name) VALUES ($1) ON CONFLICT DO NOTHING', [this.name]),
      )
    }
  }

  async #lookForTables(): Promise<boolean> {
    const [row] = await this.connection.run('open', query => query(`SELECT to_regclass('ptq.version')`))
    this.#tables.exist = row?.[0] != null
    return this.#tables.exist
  }

  /** To be called after each addition to the counts. */
  added(): void {
    if (this.connection.isCallers || Math.random() >= 1 / additionsPerFold) return
    this.inBackground(this.connection.run('count the tasks in', query => query(foldStatement, [this.name, foldedRows])))
  }

  /** Work whose failure is no failure of a verb. */
  inBackground(work: Promise<unknown>): void {
    const ending = work.catch(() => undefined).finally(() => this.#background.delete(ending))
    this.#background.add(ending)
  }

  /** Resolves when nothing runs in the background. */
  async idle(): Promise<void> {
    await Promise.all(this.#background)
  }
}

/**
 * Others may add at the same time, and sums that are read at the same time are the same. A transaction that sets the
 * counts to 0 holds the lock, or rows that are replaced here would escape it.
 */
export const foldStatement = `
  WITH old AS (
    DELETE FROM ptq.tallies WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM ptq.tallies
      WHERE queue = ${queueId} AND pg_try_advisory_xact_lock(hashtextextended('ptq.tallies ' || $1, 0))
      LIMIT $2 FOR UPDATE SKIP LOCKED
    )) RETURNING queue, enqueued, messages, inserted, completed
  )
  INSERT INTO ptq.tallies (queue, enqueued, messages, inserted, completed)
  SELECT queue, sum(enqueued), sum(messages), sum(inserted), sum(completed) FROM old GROUP BY queue`

/** Waits for others that replace rows of the queue's counts, or set them to 0; to be run in a transaction. */
export function lockCounts(query: Query, name: string): Promise<unknown> {
  return query(`SELECT pg_advisory_xact_lock(hashtextextended('ptq.tallies ' || $1, 0))`, [name])
}
