/** The statuses of workers. */
import type { WorkerStatus } from '../../backend/backend.js'
import type { RedisQueue } from './queue.js'
import { Script } from './script.js'

/** A status that is older than this is removed by the next worker that reports. Milliseconds. */
const forgottenAfterMs = 3_600_000

/**
 * Arguments: the worker, its status or an empty text. Only the last report of a worker is kept, so repeating it is
 * harmless.
 */
const reportScript = new Script(
  'repeatable',
  `if ARGV[2] == '' then
  call('HDEL', workers, ARGV[1])
  call('ZREM', seen, ARGV[1])
  return {}
end
local at = now()
for _, gone in ipairs(call('ZRANGEBYSCORE', seen, '-inf', at - ${forgottenAfterMs}, 'LIMIT', 0, 100)) do
  call('HDEL', workers, gone)
  call('ZREM', seen, gone)
end
call('HSET', workers, ARGV[1], ARGV[2])
call('ZADD', seen, at, ARGV[1])
return {}
`,
)

const workersScript = new Script('repeatable', `return call('HVALS', workers)`)

/** Stores the status of a worker; `undefined` removes it. */
export async function reportWorker(queue: RedisQueue, worker: string, status: WorkerStatus | undefined): Promise<void> {
  const text = status === undefined ? '' : JSON.stringify(status)
  await queue.run(reportScript, 'report a worker to', [worker, text])
}

/** The last status of each worker. */
export async function workersOf(queue: RedisQueue): Promise<readonly WorkerStatus[]> {
  const texts = (await queue.run(workersScript, 'read the workers of', [])) as string[]
  return texts.map(text => JSON.parse(text) as WorkerStatus)
}
