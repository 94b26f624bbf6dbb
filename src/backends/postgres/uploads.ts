/** Journals of long inserts, in tables: the messages of a range and the range itself are stored by one statement. */

import { randomUUID } from 'node:crypto'
import type { BatchFailure, Message } from '../../backend/messages.js'
import { requireSameUpload } from '../../backend/same-upload.js'
import type { UploadHead, UploadState, Uploads } from '../../backend/uploads.js'
import { UploadGoneError } from '../../errors/errors.js'
import { isError } from '../../errors/thrown.js'
import { ownError, type Query } from './connection.js'
import { columnsOf, insertParts } from './insert.js'
import { type PostgresQueue, queueId } from './queue.js'

/** Uploads without a name can't be continued: those of dead processes are removed after this number of days. */
const keptDays = 30

const beginStatement = `
  INSERT INTO ptq.uploads (queue, name, run, seed, sequence, total)
  SELECT id, $2, $3, $4, $5, $6 FROM ptq.queues WHERE name = $1 ON CONFLICT DO NOTHING`

const takeUpStatement = `
  SELECT seed, sequence, total, counted, finished FROM ptq.uploads
  WHERE queue = ${queueId} AND name = $2 FOR UPDATE`

const rangesStatement = `
  SELECT first, past FROM ptq.upload_ranges WHERE queue = ${queueId} AND name = $2 AND past > $3 AND first < $4 ORDER BY first`

/** The lock keeps another process from taking the upload up before this is stored. */
const insertStatement = `
  WITH upload AS (
    SELECT queue, name FROM ptq.uploads WHERE queue = ${queueId} AND name = $6 AND run = $7 FOR SHARE
  ),
  queue AS (SELECT queue AS id FROM upload),
  noted AS (
    INSERT INTO ptq.upload_ranges (queue, name, first, past) SELECT queue, name, $8, $9 FROM upload
    ON CONFLICT DO NOTHING RETURNING 1
  ),
  ${insertParts('WHERE EXISTS (SELECT FROM noted)')}
  SELECT queue FROM upload`

/** Begins, inserts, settles and finishes; a run is `<name>/<uuid>`. */
export class PostgresUploads implements Uploads {
  readonly #queue: PostgresQueue
  readonly #wake: () => void

  /** @param wake called when messages were stored */
  constructor(queue: PostgresQueue, wake: () => void) {
    this.#queue = queue
    this.#wake = wake
  }

  async begin(name: string | undefined, head: UploadHead): Promise<UploadState> {
    const queue = this.#queue
    const key = name ?? `~${randomUUID()}`
    const run = randomUUID()
    const state = await queue.withQueue(() =>
      queue.connection.transaction('begin an upload into', async query => {
        const old = `DELETE FROM ptq.uploads WHERE queue = ${queueId} AND name LIKE '~%' AND begun_at < now() - $2 * interval '1 day'`
        await query(old, [queue.name, keptDays])
        await query(beginStatement, [queue.name, key, run, head.seed, head.sequence, head.total])
        const [row] = await query(takeUpStatement, [queue.name, key])
        if (row === undefined) return undefined
        const [seed, sequence, total, counted, finished] = row
        const begun = { seed: seed ?? '', sequence: sequence ?? '', total: total == null ? undefined : Number(total) }
        try {
          requireSameUpload(key, 'it (purge)', begun, head)
        } catch (error) {
          throw isError(error) ? ownError(error) : error
        }
        await query(`UPDATE ptq.uploads SET run = $3 WHERE queue = ${queueId} AND name = $2`, [queue.name, key, run])
        const stored = await rangesOf(query, queue.name, key, { start: 0, end: Number.MAX_SAFE_INTEGER })
        return { head: begun, stored, counted: Number(counted), finished: finished === 't' }
      }),
    )
    return { run: `${key}/${run}`, ...state }
  }

  async insert(
    run: string,
    start: number,
    messages: readonly Message[],
    { delaySeconds }: { delaySeconds: number },
  ): Promise<readonly BatchFailure[]> {
    const queue = this.#queue
    const { name, id } = partsOf(run)
    const { ids, bodies, tasks, refused } = columnsOf(messages, queue.label)
    const values = [queue.name, ids, bodies, tasks, delaySeconds, name, id, start, start + messages.length]
    const rows = await queue.whereTablesExist(() =>
      queue.connection.run('insert into', query => query(insertStatement, values)),
    )
    if (rows?.[0] === undefined) throw uploadGone()
    queue.added()
    this.#wake()
    return refused
  }

  async settle(run: string, range: { readonly start: number; readonly end: number }) {
    const queue = this.#queue
    const { name, id } = partsOf(run)
    const ranges = await queue.whereTablesExist(() =>
      queue.connection.transaction('continue an upload into', async query => {
        // Waits for inserts whose answer was lost, and that continue.
        const text = `SELECT 1 FROM ptq.uploads WHERE queue = ${queueId} AND name = $2 AND run = $3 FOR UPDATE`
        const rows = await query(text, [queue.name, name, id])
        return rows.length === 0 ? undefined : rangesOf(query, queue.name, name, range)
      }),
    )
    if (ranges === undefined) throw uploadGone()
    return ranges
  }

  async counted(run: string, count: number): Promise<void> {
    await this.#update(run, 'counted = $4', [count])
  }

  async finish(run: string): Promise<void> {
    const queue = this.#queue
    const { name } = partsOf(run)
    await this.#update(run, 'finished = true', [])
    await queue.whereTablesExist(() =>
      queue.connection.transaction('finish an upload into', async query => {
        await query(`DELETE FROM ptq.upload_ranges WHERE queue = ${queueId} AND name = $2`, [queue.name, name])
        if (!name.startsWith('~')) return
        await query(`DELETE FROM ptq.uploads WHERE queue = ${queueId} AND name = $2`, [queue.name, name])
      }),
    )
  }

  async #update(run: string, change: string, values: readonly unknown[]): Promise<void> {
    const { name, id } = partsOf(run)
    const text = `UPDATE ptq.uploads SET ${change} WHERE queue = ${queueId} AND name = $2 AND run = $3 RETURNING 1`
    const rows = await this.#queue.read('note an upload into', text, [name, id, ...values])
    if (rows?.[0] === undefined) throw uploadGone()
  }
}

async function rangesOf(
  query: Query,
  queueName: string,
  name: string,
  range: { readonly start: number; readonly end: number },
): Promise<{ start: number; end: number }[]> {
  const rows = await query(rangesStatement, [queueName, name, range.start, range.end])
  return rows.map(([first, past]) => ({ start: Number(first), end: Number(past) }))
}

function partsOf(run: string): { name: string; id: string } {
  const slash = run.lastIndexOf('/')
  return { name: run.slice(0, slash), id: run.slice(slash + 1) }
}

function uploadGone(): UploadGoneError {
  return new UploadGoneError('Another process took this upload up, or the queue was purged')
}
