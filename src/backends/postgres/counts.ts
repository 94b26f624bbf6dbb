/** Counts messages and completions, sets the counts to 0, and empties the queue. */
import type { Counts } from '../../backend/backend.js'
import { sleep } from '../../time/sleep.js'
import type { Row } from './connection.js'
import { lockCounts, lowestId, type PostgresQueue, queueId } from './queue.js'

/** Number of messages removed in one transaction: a longer one would keep the server from vacuuming. */
const purgedRows = 10_000

/** All from one snapshot. Of the messages, only those are read that are not free. */
const countStatement = `
  WITH waiting AS (
    SELECT coalesce(sum(tasks), 0) AS tasks, coalesce(sum(tasks) FILTER (WHERE holder IS NOT NULL), 0) AS held FROM ptq.messages
    WHERE queue = ${queueId} AND free_at > statement_timestamp()
  )
  SELECT sum(enqueued), sum(inserted), sum(completed), (SELECT held FROM waiting), (SELECT tasks - held FROM waiting),
         (SELECT count(*) FROM ptq.set_aside WHERE queue = ${queueId}), sum(messages)
  FROM ptq.tallies WHERE queue = ${queueId}`

/** Counts, which are exact at one moment. */
export async function countMessages(queue: PostgresQueue): Promise<Counts> {
  const rows = await queue.read('count the tasks in', countStatement)
  const numbers = (rows?.[0] ?? []).map(Number)
  const [enqueued = 0, inserted = 0, completed = 0, leased = 0, delayed = 0, quarantined = 0, messages = 0] = numbers
  return { enqueued, ...(messages !== enqueued && { messages }), leased, delayed, inserted, completed, quarantined }
}

/** Adds to the count of inserted messages, once: if the response is lost, the server is asked if it was added. */
export async function addInserted(queue: PostgresQueue, count: number): Promise<void> {
  await queue.withQueue(() => {
    let transaction: string | null | undefined
    return queue.connection.transaction('count the tasks in', async (query, mayBeDone) => {
      while (mayBeDone && transaction != null) {
        const [row] = await query('SELECT pg_xact_status($1::xid8)', [transaction])
        if (row?.[0] === 'committed') return true
        if (row?.[0] !== 'in progress') break
        await sleep(100, queue.connection.closing)
      }
      const [row] = await query('SELECT pg_current_xact_id()')
      transaction = row?.[0]
      const added = await query(
        'INSERT INTO ptq.tallies (queue, inserted) SELECT id, $2 FROM ptq.queues WHERE name = $1 RETURNING queue',
        [queue.name, count],
      )
      return added.length > 0 ? true : undefined
    })
  })
  queue.added()
}

/** Sets `inserted` and `completed` to 0. */
export async function rezero(queue: PostgresQueue): Promise<void> {
  await queue.whereTablesExist(() =>
    queue.connection.transaction('rezero', async query => {
      await lockCounts(query, queue.name)
      await query(recountStatement, [queue.name])
    }),
  )
}

/** Counts the messages themselves, in the snapshot in which the additions are removed. */
const recountStatement = `
  WITH old AS (DELETE FROM ptq.tallies WHERE queue = ${queueId})
  INSERT INTO ptq.tallies (queue, enqueued, messages)
  SELECT known.id, stored.tasks, stored.messages FROM ptq.queues AS known CROSS JOIN LATERAL (
    SELECT coalesce(sum(tasks), 0) AS tasks, count(*) AS messages FROM ptq.messages WHERE queue = known.id
  ) AS stored WHERE name = $1`

/** In the order of their ids, each batch behind the last one: what is deleted stays in the index for a while. */
const purgeStatement = `
  WITH known AS MATERIALIZED (SELECT id FROM ptq.ids_after($1, $2, $3) AS id),
  found AS MATERIALIZED (
    SELECT row.ctid FROM known CROSS JOIN LATERAL (
      SELECT ctid FROM ptq.messages WHERE queue = ${queueId} AND id = known.id LIMIT 1 FOR UPDATE
    ) AS row
  ),
  gone AS (DELETE FROM ptq.messages AS message USING found WHERE message.ctid = found.ctid RETURNING message.queue, message.tasks),
  counted AS (INSERT INTO ptq.tallies (queue, enqueued, messages) SELECT queue, -sum(tasks), -count(*) FROM gone GROUP BY queue)
  SELECT count(*), (array_agg(id ORDER BY id DESC))[1] FROM known`

/** Removes all messages, leased or not, quarantined ones, the journals of uploads, and the counts. */
export async function purge(queue: PostgresQueue): Promise<void> {
  const { connection, name } = queue
  await queue.whereTablesExist(async () => {
    // First, so that running uploads fail.
    await connection.transaction('purge', async query => {
      await query(`DELETE FROM ptq.uploads WHERE queue = ${queueId}`, [name])
      await query(`DELETE FROM ptq.upload_ranges WHERE queue = ${queueId}`, [name])
    })
    for (let last: string | undefined = lowestId; last !== undefined; ) {
      const values: readonly unknown[] = [name, last, purgedRows]
      const [row]: readonly Row[] = await connection.run('purge', query => query(purgeStatement, values))
      last = Number(row?.[0] ?? 0) < purgedRows ? undefined : (row?.[1] ?? undefined)
    }
    await connection.transaction('purge', async query => {
      await query(`DELETE FROM ptq.set_aside WHERE queue = ${queueId}`, [name])
      await lockCounts(query, name)
      await query(recountStatement, [name])
    })
  })
}

const releaseAllStatement = `
  UPDATE ptq.messages SET holder = NULL, runs_alone = false, free_at = statement_timestamp(), attempts = attempts - 1
  WHERE queue = ${queueId} AND free_at > statement_timestamp() AND holder IS NOT NULL RETURNING tasks`

/** Makes every leased message ready; resolves with how many tasks they have. */
export async function releaseAll(queue: PostgresQueue): Promise<number> {
  const text = `WITH released AS (${releaseAllStatement}) SELECT sum(tasks) FROM released`
  const rows = await queue.read('release messages of', text)
  return Number(rows?.[0]?.[0] ?? 0)
}
