/**
 * The tables of all queues of a database, in a schema of their own:
 *
 * ```text
 * ptq.version          the version of these tables
 * ptq.queues           the name of each queue
 * ptq.messages         free_at: when a message may be leased; holder: who leased it last, null once it was released;
 *                      tasks: 1, or the number of tasks of a pack
 * ptq.tallies          what was added to the counts of a queue; the counts are the sums. Rows are only added, so that nobody waits for
 *                      another one's transaction, and are now and then replaced by their sum
 * ptq.set_aside        messages that are no tasks
 * ptq.uploads, ptq.upload_ranges    journals of long inserts
 * ptq.workers          what workers said of themselves
 * ptq.results          outcomes of tasks, by run
 * ptq.lease, ptq.move, ptq.ids_after, ptq.due, ptq.results_after    functions, see functions.ts
 * ```
 *
 * All of them are made by the first insert. A newer version of this package brings them forward when it opens a queue; an older one
 * refuses to open it.
 */

import { type Connection, ownError, type Query } from './connection.js'
import { isForbidden } from './faults.js'
import { functions, resultFunctions } from './functions.js'

/** The statements that bring a schema of each version to the next. The version is the number of those that ran. */
const migrations: readonly (readonly string[])[] = [
  [
    `CREATE TABLE ptq.queues (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE)`,
    `CREATE TABLE ptq.messages (
     queue int NOT NULL,
     id uuid NOT NULL,
     free_at timestamptz NOT NULL,
     holder uuid,
     attempts int NOT NULL DEFAULT 0,
     deaths int NOT NULL DEFAULT 0,
     deaths_alone int NOT NULL DEFAULT 0,
     runs_alone boolean NOT NULL DEFAULT false,
     tasks int NOT NULL,
     body text NOT NULL,
     failures text[],
     PRIMARY KEY (queue, id)
   ) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,
           autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_limit = 2000)`,
    `CREATE INDEX messages_by_time ON ptq.messages (queue, free_at)`,
    `CREATE TABLE ptq.tallies (
     queue int NOT NULL,
     enqueued bigint NOT NULL DEFAULT 0,
     messages bigint NOT NULL DEFAULT 0,
     inserted bigint NOT NULL DEFAULT 0,
     completed bigint NOT NULL DEFAULT 0
   ) WITH (autovacuum_vacuum_scale_factor = 0.02)`,
    `CREATE INDEX tallies_by_queue ON ptq.tallies (queue)`,
    `CREATE TABLE ptq.set_aside (
     queue int NOT NULL,
     id uuid NOT NULL,
     body text NOT NULL,
     reason text NOT NULL,
     at timestamptz NOT NULL DEFAULT now(),
     PRIMARY KEY (queue, id)
   )`,
    `CREATE TABLE ptq.uploads (
     queue int NOT NULL,
     name text NOT NULL,
     run uuid NOT NULL,
     seed text NOT NULL,
     sequence text NOT NULL,
     total bigint,
     counted bigint NOT NULL DEFAULT 0,
     finished boolean NOT NULL DEFAULT false,
     begun_at timestamptz NOT NULL DEFAULT now(),
     PRIMARY KEY (queue, name)
   )`,
    `CREATE TABLE ptq.upload_ranges (
     queue int NOT NULL,
     name text NOT NULL,
     first bigint NOT NULL,
     past bigint NOT NULL,
     PRIMARY KEY (queue, name, first)
   )`,
    `CREATE TABLE ptq.workers (
     queue int NOT NULL,
     worker text NOT NULL,
     status text NOT NULL,
     written_at timestamptz NOT NULL DEFAULT now(),
     PRIMARY KEY (queue, worker)
   )`,
    ...functions,
  ],
  [
    `CREATE TABLE ptq.results (
     queue int NOT NULL,
     run text NOT NULL,
     stored_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
     n bigint GENERATED ALWAYS AS IDENTITY,
     bytes int NOT NULL,
     records text NOT NULL,
     PRIMARY KEY (queue, run, stored_by, n)
   )`,
    ...resultFunctions,
  ],
]

/** The oldest PostgreSQL that has everything that is used: `pg_xact_status`. */
const minServerVersion = 13

/** Any number, the same in every process: a transaction that changes the schema holds this lock. */
const schemaLock = 7_478_113

/** The server and the database, as they were found. */
export interface Database {
  /** Distinguishes the database from every other one. */
  readonly identity: string
  /** The tables are there, in our version. */
  readonly hasTables: boolean
  /** Every character can be stored. */
  readonly isUnicode: boolean
}

/**
 * Checks the server, and migrates an older schema.
 *
 * @throws Error for a server or a schema that can't be used
 */
export async function openDatabase(connection: Connection): Promise<Database> {
  return connection.run('open', async query => {
    const [row] = await query(
      `SELECT current_setting('server_version_num'), current_setting('server_version'), current_setting('server_encoding'),
              current_database(), to_regclass('ptq.version')`,
    )
    const [number, version, encoding, database, table] = row ?? []
    requireServerVersion(Number(number), version ?? 'unknown', connection.label)
    const found = table == null ? 0 : await versionOf(query)
    requireKnownVersion(found, connection.label)
    if (found > 0 && found < migrations.length) await makeTables(connection)
    const identity = `${await systemOf(query)}/${database}`
    return { identity, hasTables: found > 0, isUnicode: encoding === 'UTF8' }
  })
}

/** @throws Error for a server that is too old */
export function requireServerVersion(number: number, version: string, label: string): void {
  if (number >= minServerVersion * 10_000) return
  throw ownError(new Error(`Can't open ${label}: expected PostgreSQL ${minServerVersion} or newer, got ${version}`))
}

function requireKnownVersion(found: number, label: string): void {
  if (found <= migrations.length) return
  throw ownError(
    new Error(
      `Can't open ${label}: its tables have version ${found}, made by a newer ptq than this one, which knows up to version ` +
        `${migrations.length}: update ptq here`,
    ),
  )
}

/** Creates the tables, or migrates those of an older version; changes nothing if they are current. */
export async function makeTables(connection: Connection): Promise<void> {
  await connection.transaction('make the tables of', async query => {
    await query('SELECT pg_advisory_xact_lock($1)', [schemaLock])
    const [row] = await query(`SELECT to_regnamespace('ptq'), to_regclass('ptq.version')`)
    const [schema, table] = row ?? []
    // A schema may have been made for an account that may not make one.
    if (schema == null) await query('CREATE SCHEMA ptq')
    if (table == null) await query('CREATE TABLE ptq.version (version int NOT NULL)')
    const found = table == null ? 0 : await versionOf(query)
    requireKnownVersion(found, connection.label)
    if (found === migrations.length) return
    for (const statement of migrations.slice(found).flat()) await query(statement)
    await query('DELETE FROM ptq.version')
    await query('INSERT INTO ptq.version VALUES ($1)', [migrations.length])
  })
}

async function versionOf(query: Query): Promise<number> {
  const [row] = await query('SELECT max(version) FROM ptq.version')
  return Number(row?.[0] ?? 0)
}

/** A number that each cluster of databases gets when it is made, and that its replicas share. */
async function systemOf(query: Query): Promise<string> {
  try {
    const [row] = await query('SELECT system_identifier FROM pg_control_system()')
    return row?.[0] ?? ''
  } catch (error) {
    // Some providers keep it from users.
    if (!isForbidden(error)) throw error
    const [row] = await query('SELECT inet_server_addr(), inet_server_port()')
    return (row ?? []).join(':')
  }
}
