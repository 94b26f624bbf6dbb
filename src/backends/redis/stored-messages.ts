/** Lua that scripts share: what is done with the ids of messages. */

/** The layout of the keys: raised by a change that older versions would misread. */
export const LAYOUT = 1

/**
 * `addReady(entries, freeAt, at)`: adds `[score, id, …]` that may be leased from `freeAt` on, and wakes an idle worker
 * if that is earlier than what it waits for.
 */
export const addReady = `
local function addReady(entries, freeAt, at)
  if #entries == 0 then return end
  if freeAt <= at then
    call('ZADD', wake, 0, '1')
  else
    local first = call('ZRANGE', ready, 0, 0, 'WITHSCORES')[2]
    if not first or freeAt < tonumber(first) then call('ZADD', wake, 0, '1') end
  end
  call('ZADD', ready, unpack(entries))
end
`

/** `storeNew(first, freeAt, at)`: stores the pairs of id and body from `ARGV[first]` on, but those that are enqueued. */
export const storeNew = `
${addReady}
local function storeNew(first, freeAt, at, isWanted)
  local entries = {}
  for i = first, #ARGV, 2 do
    if not isWanted or isWanted((i - first) / 2) then
      if call('HSETNX', bodies, ARGV[i], ARGV[i + 1]) == 1 then
        entries[#entries + 1] = freeAt
        entries[#entries + 1] = ARGV[i]
      end
    end
  end
  call('HSETNX', meta, 'layout', ${LAYOUT})
  addReady(entries, freeAt, at)
  return #entries / 2
end
`

/**
 * A first write that needs no memory: Redis refuses other writes when its memory is full, unless a script has written
 * before. So stored messages can still be leased and finished, which frees memory.
 */
export const passWhenFull = `call('HDEL', calls, slot)`

/**
 * `held(first)`: of the pairs of id and holder from `ARGV[first]` on, the ids whose holder that is, their states, and the places of the
 * others from 0 on.
 */
export const held = `
${passWhenFull}
local function held(first)
  local asked = {}
  for i = first, #ARGV, 2 do asked[#asked + 1] = ARGV[i] end
  local ids, kept, lost = {}, {}, {}
  for i, state in ipairs(call('HMGET', states, unpack(asked))) do
    local prefix = ARGV[first + 2 * i - 1] .. ' '
    if state and string.sub(state, 1, #prefix) == prefix then
      ids[#ids + 1] = asked[i]
      kept[#kept + 1] = state
    else
      lost[#lost + 1] = i - 1
    end
  end
  return ids, kept, lost
end
`

/** `parsed(state)`: the parts of a state. A released message has the holder `-`. */
export const parsed = `
local function parsed(state)
  local holder, attempts, deaths, deathsAlone, runsAlone = string.match(state, '^(%S+) (%d+) (%d+) (%d+) (%d)$')
  return holder, tonumber(attempts), tonumber(deaths), tonumber(deathsAlone), tonumber(runsAlone)
end
`

/** `forget(ids)`: removes all records of messages; returns how many there were. */
export const forget = `
local function forget(ids)
  call('HDEL', states, unpack(ids))
  call('HDEL', failures, unpack(ids))
  call('ZREM', leased, unpack(ids))
  return call('HDEL', bodies, unpack(ids))
end
`
