/** Lua that scripts share: what is done with the ids of messages. */

/** The layout of the keys: raised by a change that older versions would misread. */
export const layoutVersion = 1

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

/**
 * `storeNew(sizes, first, freeAt, at)`: stores the pairs of id and body from `ARGV[first]` on, but those that are enqueued; `sizes` has
 * id and number of tasks of each pack.
 */
export const storeNew = `
${addReady}
local function storeNew(sizes, first, freeAt, at, isWanted)
  local entries, sizeOf, more = {}, {}, 0
  for id, size in string.gmatch(sizes, '(%S+) (%d+)') do sizeOf[id] = size end
  for i = first, #ARGV, 2 do
    if not isWanted or isWanted((i - first) / 2) then
      if call('HSETNX', bodies, ARGV[i], ARGV[i + 1]) == 1 then
        entries[#entries + 1] = freeAt
        entries[#entries + 1] = ARGV[i]
        local size = sizeOf[ARGV[i]]
        if size then
          call('HSET', packs, ARGV[i], size)
          more = more + size - 1
        end
      end
    end
  end
  call('HSETNX', meta, 'layout', ${layoutVersion})
  if more > 0 then call('HINCRBY', meta, 'more', string.format('%d', more)) end
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
 * `held(first)`: of the pairs of id and holder from `ARGV[first]` on, the ids whose holder that is, their states, the places of the
 * others from 0 on, and their own places.
 */
export const held = `
${passWhenFull}
local function held(first)
  local asked = {}
  for i = first, #ARGV, 2 do asked[#asked + 1] = ARGV[i] end
  local ids, kept, lost, places, seen = {}, {}, {}, {}, {}
  for i, state in ipairs(call('HMGET', states, unpack(asked))) do
    local prefix = ARGV[first + 2 * i - 1] .. ' '
    if state and string.sub(state, 1, #prefix) == prefix then
      if not seen[asked[i]] then
        seen[asked[i]] = true
        ids[#ids + 1] = asked[i]
        kept[#kept + 1] = state
        places[#places + 1] = i - 1
      end
    else
      lost[#lost + 1] = i - 1
    end
  end
  return ids, kept, lost, places
end
`

/** `parsed(state)`: the parts of a state. A released message has the holder `-`. */
export const parsed = `
local function parsed(state)
  local holder, attempts, deaths, deathsAlone, runsAlone = string.match(state, '^(%S+) (%d+) (%d+) (%d+) (%d)$')
  return holder, tonumber(attempts), tonumber(deaths), tonumber(deathsAlone), tonumber(runsAlone)
end
`

/** `sizesOf(ids)`: the numbers of tasks of messages, and their sum. */
export const sizesOf = `
local function sizesOf(ids)
  local sizes, sum = call('HMGET', packs, unpack(ids)), 0
  for i = 1, #ids do
    sizes[i] = tonumber(sizes[i] or 1)
    sum = sum + sizes[i]
  end
  return sizes, sum
end
`

/** `forget(ids)`: removes all records of messages, each of which is there once. */
export const forget = `
${sizesOf}
local function forget(ids)
  local _, tasks = sizesOf(ids)
  if tasks > #ids then
    call('HDEL', packs, unpack(ids))
    call('HINCRBY', meta, 'more', string.format('%d', #ids - tasks))
  end
  call('HDEL', states, unpack(ids))
  call('HDEL', failures, unpack(ids))
  call('ZREM', leased, unpack(ids))
  call('HDEL', bodies, unpack(ids))
end
`
