/** The numbers of a queue. */
import type { Counts } from '../../backend/backend.js'
import type { RedisQueue } from './queue.js'
import { Script } from './script.js'

/** All of one moment. An expired lease counts as none: its message is ready. */
const countsScript = new Script(
  'repeatable',
  `local at = '(' .. now()
return {
  call('HLEN', bodies),
  call('ZCOUNT', leased, at, '+inf'),
  call('ZCOUNT', ready, at, '+inf'),
  tonumber(call('HGET', meta, 'inserted') or 0),
  tonumber(call('HGET', meta, 'completed') or 0),
  call('HLEN', quarantined),
}
`,
)

const addInsertedScript = new Script('once', `record(call('HINCRBY', meta, 'inserted', ARGV[4])) return {}`)

const rezeroScript = new Script('once', `call('HDEL', meta, 'inserted', 'completed') record('') return {}`)

const existsScript = new Script('repeatable', `return { call('EXISTS', meta) }`)

/** Reads all numbers at once. */
export async function countMessages(queue: RedisQueue): Promise<Counts> {
  const numbers = (await queue.run(countsScript, 'count', [])) as number[]
  const [enqueued = 0, leased = 0, delayed = 0, inserted = 0, completed = 0, quarantined = 0] = numbers
  return { enqueued, leased, delayed, inserted, completed, quarantined }
}

/** Adds to the count of inserted messages. */
export async function addInserted(queue: RedisQueue, count: number): Promise<void> {
  await queue.run(addInsertedScript, 'count what was inserted into', [count])
}

/** Sets both counts to 0. */
export async function rezero(queue: RedisQueue): Promise<void> {
  await queue.run(rezeroScript, 'rezero', [])
}

/** True once something was inserted. */
export async function exists(queue: RedisQueue): Promise<boolean> {
  const [found] = (await queue.run(existsScript, 'look for', [])) as [number]
  return found === 1
}
