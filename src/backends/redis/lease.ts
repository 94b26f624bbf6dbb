/** Leases messages, and waits for the first one. */
import type { Lease } from '../../backend/messages.js'
import { elapsedMs } from '../../time/clock.js'
import type { RedisQueue } from './queue.js'
import { Script } from './script.js'
import { parsed, passWhenFull } from './stored-messages.js'
import { pollMs } from './wake-up.js'

/** Leases of one script: some milliseconds in which the server serves no other client. */
export const leaseBatch = 250

/** Identifies the holder of a lease; all leases of one call have the same. */
export type RedisHandle = string

/** Options of `Backend.lease`. */
export interface RedisLeaseOptions {
  readonly seconds: number
  readonly max: number
  readonly waitSeconds: number
  readonly signal?: AbortSignal
}

/**
 * Arguments: the maximum number of messages, the lease in ms, the new holder. Replies with the ms until the next
 * message may be leased, if none may now (-1: there is none), then id, body and `attempt deaths deathsAlone` of each
 * message.
 *
 * Leases that ran out come first: their messages have waited longest.
 */
const leaseScript = new Script(
  'lease',
  `${parsed}
local max, leaseMs, holder = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local at = now()
${passWhenFull}

local function reply(ids, counts)
  local result = { -1 }
  for i, body in ipairs(call('HMGET', bodies, unpack(ids))) do
    if body then
      result[#result + 1] = ids[i]
      result[#result + 1] = body
      result[#result + 1] = counts[i]
    end
  end
  return result
end

if repeated then
  -- The first reply was lost. What this holder still has is given again, from now on.
  local asked, ids, counts, ends = {}, {}, {}, {}
  for id in string.gmatch(repeated, '%S+') do asked[#asked + 1] = id end
  if #asked == 0 then return { 0 } end
  for i, state in ipairs(call('HMGET', states, unpack(asked))) do
    if state then
      local itsHolder, attempts, deaths, deathsAlone = parsed(state)
      if itsHolder == holder then
        ids[#ids + 1] = asked[i]
        counts[#counts + 1] = attempts .. ' ' .. deaths .. ' ' .. deathsAlone
        ends[#ends + 1] = at + leaseMs
        ends[#ends + 1] = asked[i]
      end
    end
  end
  if #ids == 0 then return { 0 } end
  call('ZADD', leased, unpack(ends))
  return reply(ids, counts)
end

local ids = call('ZRANGEBYSCORE', leased, '-inf', at, 'LIMIT', 0, max)
local more = #ids == max
if not more then
  local due = call('ZCOUNT', ready, '-inf', at)
  local taken = math.min(due, max - #ids)
  if taken > 0 then
    local popped = call('ZPOPMIN', ready, taken)
    for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  end
  more = due > taken
end

if #ids == 0 then
  -- A first try of this call that arrives after it must lease nothing: nobody would hear of it.
  if again then record('') end
  call('DEL', wake)
  local next = math.min(
    tonumber(call('ZRANGE', ready, 0, 0, 'WITHSCORES')[2] or math.huge),
    tonumber(call('ZRANGE', leased, 0, 0, 'WITHSCORES')[2] or math.huge)
  )
  return { next == math.huge and -1 or math.max(next - at, 1) }
end

local counts, ends, changed = {}, {}, {}
for i, state in ipairs(call('HMGET', states, unpack(ids))) do
  local attempts, deaths, deathsAlone = 0, 0, 0
  if state then
    local before, runsAlone
    before, attempts, deaths, deathsAlone, runsAlone = parsed(state)
    -- It was not released: its last lease ran out.
    if before ~= '-' then
      deaths = deaths + 1
      deathsAlone = deathsAlone + runsAlone
    end
  end
  counts[i] = (attempts + 1) .. ' ' .. deaths .. ' ' .. deathsAlone
  ends[2 * i - 1] = at + leaseMs
  ends[2 * i] = ids[i]
  changed[2 * i - 1] = ids[i]
  changed[2 * i] = holder .. ' ' .. counts[i] .. ' 0'
end
if more then call('ZADD', wake, 0, '1') else call('DEL', wake) end
call('ZADD', leased, unpack(ends))
call('HSET', states, unpack(changed))
record(table.concat(ids, ' '))
return reply(ids, counts)
`,
)

/** The result of one call. */
interface Found {
  readonly leases: Lease[]
  /** Milliseconds until a message may be leased; `undefined` if there is none. */
  readonly nextMs: number | undefined
}

/** Leases up to `max` messages; if there is none, waits. */
export async function leaseMessages(queue: RedisQueue, options: RedisLeaseOptions): Promise<Lease[]> {
  const { seconds, waitSeconds, signal } = options
  const max = Math.min(options.max, leaseBatch)
  const endMs = elapsedMs() + waitSeconds * 1000
  for (;;) {
    if (signal?.aborted) return []
    const { leases, nextMs = Number.POSITIVE_INFINITY } = await leaseOnce(queue, seconds, max, signal)
    const leftMs = endMs - elapsedMs()
    if (leases.length > 0 || leftMs <= 0 || signal?.aborted) return leases
    await queue.wakeUp.wait(Math.min(leftMs, nextMs, pollMs), signal)
    if (queue.connection.closing.aborted) return []
  }
}

async function leaseOnce(
  queue: RedisQueue,
  seconds: number,
  max: number,
  signal: AbortSignal | undefined,
): Promise<Found> {
  const holder: RedisHandle = queue.newHolder()
  const args = [max, Math.round(seconds * 1000), holder]
  const [nextMs, ...parts] = (await queue.run(leaseScript, 'lease from', args, { signal })) as [number, ...string[]]
  const leases: Lease[] = []
  for (let i = 0; i + 2 < parts.length; i += 3) {
    const [id = '', body = '', counts = ''] = parts.slice(i, i + 3)
    const [attempt = 1, deaths = 0, deathsAlone = 0] = counts.split(' ').map(Number)
    leases.push({ id, body, attempt, deaths, deathsAlone, handle: holder })
  }
  return { leases, nextMs: nextMs < 0 ? undefined : nextMs }
}
