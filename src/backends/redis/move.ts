/** Moves messages into another queue of the same server, exactly: each step is one script. */
import type { RedisQueue } from './queue.js'
import { Script } from './script.js'
import { addReady, forget, layoutVersion } from './stored-messages.js'

/** Messages of one script. */
const batchSize = 250

/** Replies with how many were moved, and how many tasks they have. A message starts over in the other queue: its attempts are not kept. */
const moveScript = new Script(
  'once',
  `${forget}
local at = now()
local ids = call('ZRANGEBYSCORE', leased, '-inf', at, 'LIMIT', 0, ${batchSize})
local taken = math.min(call('ZCOUNT', ready, '-inf', at), ${batchSize} - #ids)
if taken > 0 then
  local popped = call('ZPOPMIN', ready, taken)
  for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
end
local tasks = 0
if #ids > 0 then
  local entries, more = {}, 0
  local sizes, sum = sizesOf(ids)
  tasks = sum
  for i, body in ipairs(call('HMGET', bodies, unpack(ids))) do
    if call('HSETNX', other_bodies, ids[i], body) == 1 then
      entries[#entries + 1] = at
      entries[#entries + 1] = ids[i]
      if sizes[i] > 1 then
        call('HSET', other_packs, ids[i], string.format('%d', sizes[i]))
        more = more + sizes[i] - 1
      end
    end
  end
  if more > 0 then call('HINCRBY', other_meta, 'more', string.format('%d', more)) end
  call('HSETNX', other_meta, 'layout', ${layoutVersion})
  forget(ids)
  local ready, wake = other_ready, other_wake
  ${addReady}
  addReady(entries, at, at)
end
record(#ids .. ' ' .. tasks)
return { #ids, tasks }
`,
)

/** Moves what is ready until nothing is left; yields how many tasks, some at a time. Leased and delayed messages stay. */
export async function* moveMessages(
  from: RedisQueue,
  to: RedisQueue,
  signal: AbortSignal,
): AsyncGenerator<number, void, undefined> {
  while (!signal.aborted) {
    const reply = await from.run(moveScript, 'move messages from', [], { other: to })
    const [moved, tasks] = reply as [number, number]
    if (moved === 0) return
    yield tasks
  }
}
