/** The numbers of a queue. */
import type { Counts } from '../../backend/backend.js'
import type { RedisQueue } from './queue.js'
import { Script } from './script.js'
import { sizesOf } from './stored-messages.js'

/** Ids that are read at once: Lua has a stack of a few thousand values. */
const pageSize = 1_000

/** All of one moment. An expired lease counts as none: its message is ready. Where there are packs, the ids of what is leased or delayed are read. */
const countsScript = new Script(
  'repeatable',
  `${sizesOf}
local at = '(' .. now()
local hasPacks = call('EXISTS', packs) == 1
local function tasksFrom(set)
  local count = call('ZCOUNT', set, at, '+inf')
  if not hasPacks then return count end
  local tasks = 0
  for first = -count, -1, ${pageSize} do
    local _, sum = sizesOf(call('ZRANGE', set, first, math.min(first + ${pageSize - 1}, -1)))
    tasks = tasks + sum
  end
  return tasks
end
return {
  call('HLEN', bodies),
  tasksFrom(leased),
  tasksFrom(ready),
  tonumber(call('HGET', meta, 'inserted') or 0),
  tonumber(call('HGET', meta, 'completed') or 0),
  call('HLEN', quarantined),
  tonumber(call('HGET', meta, 'more') or 0),
}
`,
)

const addInsertedScript = new Script('once', `record(call('HINCRBY', meta, 'inserted', ARGV[4])) return {}`)

const rezeroScript = new Script('once', `call('HDEL', meta, 'inserted', 'completed') record('') return {}`)

const existsScript = new Script('repeatable', `return { call('EXISTS', meta) }`)

/** Reads all numbers at once. */
export async function countMessages(queue: RedisQueue): Promise<Counts> {
  const numbers = (await queue.run(countsScript, 'count', [])) as number[]
  const [messages = 0, leased = 0, delayed = 0, inserted = 0, completed = 0, quarantined = 0, more = 0] = numbers
  return { enqueued: messages + more, ...(more > 0 && { messages }), leased, delayed, inserted, completed, quarantined }
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
