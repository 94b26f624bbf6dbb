/** Queues and messages for the tests of the PostgreSQL backend. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import type { Backend } from '#ptq/backend/backend.js'
import { messageWriter } from '#ptq/backend/envelope.js'
import type { BatchFailure, Lease, Message } from '#ptq/backend/messages.js'
import { parseQueueUrl } from '#ptq/backend/queue-url.js'
import { opener, type PostgresOptions } from '#ptq/backends/postgres/index.js'

/** Opens a queue. */
export function openQueue(url: string, options: PostgresOptions = {}): Promise<Backend> {
  return opener.open(parseQueueUrl(url, { cwd: '/', home: '/' }), options)
}

/** A new name for a queue of a test. */
export function newName(): string {
  return `test-${randomUUID()}`
}

/** Messages with an envelope each, as the core writes them. */
export function makeMessages(count: number): Message[] {
  const write = messageWriter('test')
  return Array.from({ length: count }, (_, n) => {
    const id = randomUUID()
    return { id, body: write(JSON.stringify({ class: 'PrintTask', txt: `${n}` }), id) }
  })
}

/** Every entry of a batch succeeded. */
export function noFailures(failures: readonly BatchFailure[] | undefined): void {
  assert.deepEqual(failures, [])
}

/** Inserts so many messages, and asserts that all were stored. */
export async function fill(backend: Backend, count: number, delaySeconds = 0): Promise<Message[]> {
  const messages = makeMessages(count)
  noFailures(await backend.insert(messages, { delaySeconds }))
  return messages
}

/** Leases exactly so many messages, which are free. */
export async function take(backend: Backend, count: number, seconds = 600): Promise<Lease[]> {
  const leases = await backend.lease({ seconds, max: count, waitSeconds: 0 })
  assert.equal(leases.length, count)
  return leases
}

/** The ids of messages, in an order that can be compared. */
export function ids(messages: readonly { readonly id: string }[]): string[] {
  return messages.map(({ id }) => id).sort()
}

/** Runs statements on a new connection. */
export async function runSql(url: string, ...statements: string[]): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: withoutQueue(url) })
  await client.connect()
  try {
    let rows: Record<string, unknown>[] = []
    for (const statement of statements) rows = (await client.query<Record<string, unknown>>(statement)).rows
    return rows
  } finally {
    await client.end()
  }
}

/** The URL of the database, for the package pg. */
export function withoutQueue(url: string): string {
  return url.replace(/\?.*$/, '')
}
