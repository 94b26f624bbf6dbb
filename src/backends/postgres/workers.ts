/** Statuses of the workers of a queue. */
import type { WorkerStatus } from '../../backend/backend.js'
import { isErrorNamed } from '../../errors/thrown.js'
import { type PostgresQueue, queueId } from './queue.js'

/** A status that is older by the server's clock belongs to a dead worker. Minutes. */
const keptMinutes = 60

const storeStatement = `
  WITH old AS (
    DELETE FROM ptq.workers
    WHERE queue = ${queueId} AND worker <> $2 AND written_at < now() - ${keptMinutes} * interval '1 minute'
  )
  INSERT INTO ptq.workers (queue, worker, status) SELECT id, $2, $3 FROM ptq.queues WHERE name = $1
  ON CONFLICT (queue, worker) DO UPDATE SET status = excluded.status, written_at = now()`

/** Stores a worker's status, or removes it; nothing where there is no queue. */
export async function reportWorker(
  queue: PostgresQueue,
  worker: string,
  status: WorkerStatus | undefined,
): Promise<void> {
  const doing = 'note a worker of'
  if (status === undefined) {
    await queue.read(doing, `DELETE FROM ptq.workers WHERE queue = ${queueId} AND worker = $2`, [worker])
  } else {
    await queue.read(doing, storeStatement, [worker, JSON.stringify(status).replaceAll('\\u0000', '')])
  }
}

/** The last status of each worker. */
export async function workersOf(queue: PostgresQueue): Promise<readonly WorkerStatus[]> {
  const rows = await queue.read('list the workers of', `SELECT status FROM ptq.workers WHERE queue = ${queueId}`)
  return (rows ?? []).flatMap(([status]) => {
    try {
      return [JSON.parse(status ?? '') as WorkerStatus]
    } catch (error) {
      // Written by hand.
      if (isErrorNamed(error, 'SyntaxError')) return []
      throw error
    }
  })
}
