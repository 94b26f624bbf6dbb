/** Stores messages. */
import type { BatchFailure, Message } from '../../backend/messages.js'
import { tasksOfMessage } from '../../backend/pack-ids.js'
import { MessageRefusedError } from '../../errors/errors.js'
import type { PostgresQueue } from './queue.js'

/** The most messages of one statement. */
export const insertBatch = 500

/** The longest delay and lease: times beyond the year 294276 can't be stored. */
export const maxSeconds = 1_000_000_000

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Messages as arrays, which is what a statement takes. */
export interface Columns {
  readonly ids: readonly string[]
  readonly bodies: readonly string[]
  /** The number of tasks of each. */
  readonly tasks: readonly number[]
  readonly refused: readonly BatchFailure[]
}

/** Takes out what a table can't hold: it would fail the whole batch. */
export function columnsOf(messages: readonly Message[], label: string): Columns {
  const ids: string[] = []
  const bodies: string[] = []
  const refused: BatchFailure[] = []
  messages.forEach(({ id, body }, index) => {
    const problem = !uuid.test(id)
      ? 'its id is no UUID in lower case'
      : body.includes('\0')
        ? 'PostgreSQL stores no NUL character'
        : undefined
    if (problem === undefined) {
      ids.push(id)
      bodies.push(body)
    } else {
      refused.push({
        index,
        error: new MessageRefusedError(`${label} can't hold the message ${id}: ${problem}`, { id }),
      })
    }
  })
  return { ids, bodies, tasks: ids.map(tasksOfMessage), refused }
}

/** The statement's parts that store messages: $1 the queue's name, $2 ids, $3 bodies, $4 their numbers of tasks, $5 the delay. */
export const insertParts = (condition: string) => `
  stored AS (
    INSERT INTO ptq.messages (queue, id, body, tasks, free_at)
    SELECT queue.id, new.id, new.body, new.tasks, clock_timestamp() + $5::float8 * interval '1 second'
    FROM queue, unnest($2::uuid[], $3::text[], $4::int[]) AS new (id, body, tasks) ${condition}
    ON CONFLICT DO NOTHING RETURNING queue, tasks
  ),
  counted AS (
    INSERT INTO ptq.tallies (queue, enqueued, messages) SELECT queue, sum(tasks), count(*) FROM stored GROUP BY queue
  )`

const insertStatement = `
  WITH queue AS (SELECT id FROM ptq.queues WHERE name = $1), ${insertParts('')}
  SELECT queue.id, (SELECT count(*) FROM stored) FROM queue`

/** Stores messages; those that are enqueued already are the same messages. */
export async function insertMessages(
  queue: PostgresQueue,
  messages: readonly Message[],
  delaySeconds: number,
): Promise<readonly BatchFailure[]> {
  const { ids, bodies, tasks, refused } = columnsOf(messages, queue.label)
  if (ids.length > 0) {
    await queue.withQueue(async () => {
      const rows = await queue.connection.run('insert into', query =>
        query(insertStatement, [queue.name, ids, bodies, tasks, delaySeconds]),
      )
      return rows[0]
    })
    queue.added()
  }
  return refused
}
