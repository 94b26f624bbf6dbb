/** Renews, releases, deletes and sets leased messages aside: a row changes only under the holder that a lease names. */
import type { BatchFailure, Failure, Lease, Message } from '../../backend/messages.js'
import { LeaseLostError } from '../../errors/errors.js'
import type { Row } from './connection.js'
import { columnsOf } from './insert.js'
import { type PostgresQueue, queueId } from './queue.js'

/** The most leases of one statement. */
export const leaseBatch = 1000

/**
 * A row that another call of the same holder changed while this one waited for it is not found, since that version is newer than the
 * statement: the statement runs again for what it has not found. The other call may be an earlier try of this one.
 */
const rounds = 2

/** Number of the newest failures that are kept with a message. */
const keptFailures = 100

/**
 * The rows of leases, locked; $2 are the ids, $3 their holders. Each is looked up by itself: without statistics, the planner would
 * rather read the whole queue than a hundred rows by their key. An id may be there twice: a worker whose lease ran out may hold the
 * message again.
 */
const heldRows = `
  held AS MATERIALIZED (
    SELECT row.ctid, lease.holder, lease.place::int
    FROM unnest($2::uuid[], $3::uuid[]) WITH ORDINALITY AS lease (id, holder, place) CROSS JOIN LATERAL (
      SELECT ctid FROM ptq.messages
      WHERE queue = ${queueId} AND id = lease.id AND holder = lease.holder LIMIT 1 FOR UPDATE
    ) AS row
  )`

const update = (changes: string) => `
  WITH ${heldRows}
  UPDATE ptq.messages AS message SET ${changes} FROM held WHERE message.ctid = held.ctid
  RETURNING message.id, held.holder`

const untilSeconds = `statement_timestamp() + $4::float8 * interval '1 second'`

const renewStatement = update(`free_at = ${untilSeconds}`)

const replaceStatement = update('body = $4')

const aloneStatement = update('runs_alone = true')

const releaseStatement = update(`holder = NULL, runs_alone = false, free_at = ${untilSeconds}, attempts = attempts - 1`)

const failStatement = update(
  `holder = NULL, runs_alone = false, free_at = ${untilSeconds},
   failures = (failures || $5::text)[greatest(1, coalesce(cardinality(failures), 0) + 2 - ${keptFailures}):]`,
)

const deleteStatement = `
  WITH ${heldRows},
  gone AS (
    DELETE FROM ptq.messages AS message USING held WHERE message.ctid = held.ctid
    RETURNING message.queue, message.id, message.tasks, held.holder, ($4::int[])[held.place] AS completions
  ),
  counted AS (
    INSERT INTO ptq.tallies (queue, enqueued, messages, completed)
    SELECT queue, -sum(tasks), -count(*), sum(completions) FROM gone GROUP BY queue
  )
  SELECT id, holder FROM gone`

const setAsideStatement = `
  WITH ${heldRows},
  gone AS (
    DELETE FROM ptq.messages AS message USING held WHERE message.ctid = held.ctid
    RETURNING message.queue, message.id, message.body, message.tasks, held.holder
  ),
  counted AS (
    INSERT INTO ptq.tallies (queue, enqueued, messages) SELECT queue, -sum(tasks), -count(*) FROM gone GROUP BY queue
  ),
  kept AS (
    INSERT INTO ptq.set_aside (queue, id, body, reason) SELECT queue, id, body, $4 FROM gone
    ON CONFLICT (queue, id) DO UPDATE SET body = excluded.body, reason = excluded.reason, at = now()
  )
  SELECT id, holder FROM gone`

/** The other queue is there: its name is $4. Stores the message $5 with the body $6 and $7 tasks in it. */
const moveStatement = `
  WITH ${heldRows},
  gone AS (
    DELETE FROM ptq.messages AS message USING held WHERE message.ctid = held.ctid
    RETURNING message.queue, message.id, message.tasks, held.holder
  ),
  stored AS (
    INSERT INTO ptq.messages AS message (queue, id, body, tasks, free_at)
    SELECT target.id, $5::uuid, $6, $7::int, clock_timestamp() FROM gone, ptq.queues AS target WHERE target.name = $4
    ON CONFLICT DO NOTHING RETURNING message.queue, message.tasks
  ),
  counted AS (
    INSERT INTO ptq.tallies (queue, enqueued, messages)
    SELECT queue, -sum(tasks), -count(*) FROM gone GROUP BY queue
    UNION ALL SELECT queue, sum(tasks), count(*) FROM stored GROUP BY queue
  )
  SELECT id, holder FROM gone`

/** Which of the given messages are stored, and if they are held. */
const stateStatement = `
  SELECT id, holder IS NOT NULL FROM ptq.messages WHERE queue = ${queueId} AND id = ANY ($2::uuid[])`

interface Change {
  readonly doing: string
  readonly statement: string
  readonly values: readonly unknown[]
  /**
   * The state of a message to which this change was made. If the response of an earlier try was lost, a message in this
   * state was changed by that try, and is not lost.
   */
  readonly after?: 'gone' | 'released'
}

export function renewLeases(
  queue: PostgresQueue,
  leases: readonly Lease[],
  seconds: number,
): Promise<readonly BatchFailure[]> {
  return change(queue, leases, { doing: 'renew leases of', statement: renewStatement, values: [seconds] })
}

export function releaseLeases(
  queue: PostgresQueue,
  leases: readonly Lease[],
  delaySeconds: number,
  failure: Failure | undefined,
): Promise<readonly BatchFailure[]> {
  const doing = 'release messages of'
  const after = 'released'
  if (failure === undefined)
    return change(queue, leases, { doing, statement: releaseStatement, values: [delaySeconds], after })
  const values = [delaySeconds, JSON.stringify(failure)]
  return change(queue, leases, { doing, statement: failStatement, values, after })
}

export async function deleteLeases(
  queue: PostgresQueue,
  leases: readonly Lease[],
  { tally, completions }: { readonly tally: boolean; readonly completions?: readonly number[] },
): Promise<readonly BatchFailure[]> {
  const failures = await change(queue, leases, {
    doing: 'delete from',
    statement: deleteStatement,
    values: [leases.map((_, index) => (tally ? (completions?.[index] ?? 1) : 0))],
    after: 'gone',
  })
  if (failures.length < leases.length) queue.added()
  return failures
}

/** @throws LeaseLostError where the lease is over */
export async function markAlone(queue: PostgresQueue, lease: Lease): Promise<void> {
  const [failure] = await change(queue, [lease], { doing: 'mark a message of', statement: aloneStatement, values: [] })
  if (failure !== undefined) throw failure.error
}

/** @throws LeaseLostError where the lease is over */
export async function replaceBody(queue: PostgresQueue, lease: Lease, body: string): Promise<void> {
  const doing = 'change a message of'
  const [failure] = await change(queue, [lease], { doing, statement: replaceStatement, values: [body] })
  if (failure !== undefined) throw failure.error
}

/** @throws LeaseLostError where the lease is over */
export async function setAside(queue: PostgresQueue, lease: Lease, reason: string): Promise<void> {
  const values = [reason.replaceAll('\0', '')]
  const [failure] = await change(queue, [lease], {
    doing: 'set a message aside in',
    statement: setAsideStatement,
    values,
    after: 'gone',
  })
  if (failure !== undefined) throw failure.error
  queue.added()
}

/**
 * Deletes a message, and stores another one in another queue of the database, in one transaction.
 *
 * @throws LeaseLostError where the lease is over; MessageRefusedError where a table can't hold the message
 */
export async function moveLeased(
  queue: PostgresQueue,
  lease: Lease,
  message: Message,
  other: PostgresQueue,
): Promise<void> {
  const { bodies, tasks, refused } = columnsOf([message], other.label)
  const [problem] = refused
  if (problem !== undefined) throw problem.error
  await other.withQueue(async () => (await other.read('open', 'SELECT id FROM ptq.queues WHERE name = $1'))?.[0])
  const [failure] = await change(queue, [lease], {
    doing: 'move a message of',
    statement: moveStatement,
    values: [other.name, message.id, bodies[0], tasks[0]],
    after: 'gone',
  })
  if (failure !== undefined) throw failure.error
  queue.added()
}

async function change(
  queue: PostgresQueue,
  leases: readonly Lease[],
  { doing, statement, values, after }: Change,
): Promise<readonly BatchFailure[]> {
  const ids = leases.map(({ id }) => id)
  const holders = leases.map(({ handle }) => holderIn(handle))
  const work = () =>
    queue.connection.run(doing, async (query, mayBeDone) => {
      const done = new Set<string>()
      const isIn = (index: number) => done.has(`${ids[index]} ${holders[index]}`)
      for (let round = 0; round < rounds && done.size < ids.length; round++) {
        const left = holders.map((holder, index) => (isIn(index) ? null : holder))
        const changed = await query(statement, [queue.name, ids, left, ...values])
        for (const [id, holder] of changed) done.add(`${id} ${holder}`)
      }
      const isDone = ids.map((_, index) => isIn(index))
      if (!mayBeDone || after === undefined || !isDone.includes(false)) return isDone
      const before = changedBefore(ids, after, await query(stateStatement, [queue.name, ids]))
      return isDone.map((is, index) => is || before[index])
    })
  const isDone = leases.length === 0 ? undefined : await queue.whereTablesExist(work)
  return leases.flatMap(({ id }, index) => {
    if (isDone?.[index]) return []
    const message = `The lease of ${id} in ${queue.label} was lost: it ran out, was released, or the message is gone.`
    return [{ index, error: new LeaseLostError(message, { id }) }]
  })
}

function changedBefore(ids: readonly string[], after: 'gone' | 'released', states: readonly Row[]): readonly boolean[] {
  const isHeld = new Map(states.map(([id, held]) => [id, held === 't']))
  return ids.map(id => (after === 'gone' ? !isHeld.has(id) : isHeld.get(id) === false))
}

function holderIn(handle: unknown): string | null {
  return typeof handle === 'object' && handle !== null && 'holder' in handle && typeof handle.holder === 'string'
    ? handle.holder
    : null
}
