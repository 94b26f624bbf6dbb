/** Moves free messages into another queue of the same database: each batch is one statement, so each message is in one of the two. */
import type { PostgresQueue } from './queue.js'

const batchSize = 1000

const moveStatement = `
  SELECT moved.moved, moved.tasks, extract(epoch FROM moved.last)
  FROM ptq.queues AS target CROSS JOIN LATERAL ptq.move($1, $3, $4, target.id) AS moved WHERE target.name = $2`

/** Moves until nothing is free, or `signal` aborts; yields how many tasks were moved. */
export async function* moveMessages(
  from: PostgresQueue,
  to: PostgresQueue,
  signal: AbortSignal,
): AsyncGenerator<number, void, undefined> {
  // Behind what was moved, which stays in the index for a while; in the end once more from the beginning.
  for (let since = 0; !signal.aborted; ) {
    const { moved, tasks, last } = await to.withQueue(async () => {
      const values = [from.name, to.name, since, batchSize]
      const [row] = await from.connection.run('move messages of', query => query(moveStatement, values))
      return row && { moved: Number(row[0]), tasks: Number(row[1] ?? 0), last: Number(row[2] ?? 0) }
    })
    from.added()
    if (moved > 0) yield tasks
    if (moved < batchSize && since === 0) return
    since = moved < batchSize ? 0 : last
  }
}
