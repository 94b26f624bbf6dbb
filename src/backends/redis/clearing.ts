/** Verbs on all messages: releaseAll in bounded steps, purge by dropping the keys. */
import type { RedisQueue } from './queue.js'
import { Script } from './script.js'
import { addReady, parsed, sizesOf } from './stored-messages.js'

/** Leases of one script. */
const batchSize = 250

/** Arguments: the latest end of a lease to release in ms since 1970. Replies with how many were released, and how many tasks they have. */
const releaseAllScript = new Script(
  'once',
  `${addReady}${parsed}${sizesOf}
local at = now()
local ids = call('ZRANGEBYSCORE', leased, '(' .. at, ARGV[4], 'LIMIT', 0, ${batchSize})
local tasks = 0
if #ids > 0 then
  local _, sum = sizesOf(ids)
  tasks = sum
  call('ZREM', leased, unpack(ids))
  local entries, fresh, changed = {}, {}, {}
  for i, state in ipairs(call('HMGET', states, unpack(ids))) do
    local _, attempts, deaths, deathsAlone = parsed(state)
    if attempts == 1 then
      fresh[#fresh + 1] = ids[i]
    else
      changed[#changed + 1] = ids[i]
      changed[#changed + 1] = '- ' .. (attempts - 1) .. ' ' .. deaths .. ' ' .. deathsAlone .. ' 0'
    end
    entries[#entries + 1] = at
    entries[#entries + 1] = ids[i]
  end
  if #fresh > 0 then call('HDEL', states, unpack(fresh)) end
  if #changed > 0 then call('HSET', states, unpack(changed)) end
  addReady(entries, at, at)
end
record(#ids .. ' ' .. tasks)
return { #ids, tasks }
`,
)

const lastEndScript = new Script(
  'repeatable',
  `return { tonumber(call('ZRANGE', leased, -1, -1, 'WITHSCORES')[2] or 0) }`,
)

/** The server frees the memory in a thread of its own. The statuses of workers stay. */
const purgeScript = new Script(
  'once',
  `call('UNLINK', bodies, ready, leased, states, failures, packs, quarantined, wake, uploads, ranges)
call('HDEL', meta, 'inserted', 'completed', 'more')
record('')
return {}
`,
)

/** Makes every leased message ready; resolves with how many tasks they have. */
export async function releaseAll(queue: RedisQueue): Promise<number> {
  // Workers continue leasing: leases from now on mostly end later, and are theirs.
  const [lastEndMs] = (await queue.run(lastEndScript, 'release all leases of', [])) as [number]
  for (let released = 0; ; ) {
    const reply = await queue.run(releaseAllScript, 'release all leases of', [lastEndMs])
    const [count, tasks] = reply as [number, number]
    released += tasks
    if (count < batchSize) return released
  }
}

/** Removes everything. */
export async function purge(queue: RedisQueue): Promise<void> {
  await queue.run(purgeScript, 'purge', [])
}
