/** Renews, releases, deletes and quarantines leased messages: each change only if the holder is still the same. */
import type { BatchFailure, Failure, Lease, Message } from '../../backend/messages.js'
import { tasksOfMessage } from '../../backend/pack-ids.js'
import { LeaseLostError } from '../../errors/errors.js'
import type { RedisQueue } from './queue.js'
import { Script } from './script.js'
import { addReady, forget, held, layoutVersion, parsed } from './stored-messages.js'

/** Arguments: the lease in ms, then id and holder of each. Replies with the places of lost leases, as the other ones do. */
const renewScript = new Script(
  'once',
  `${held}
local ids, _, lost = held(5)
local at, ends = now(), {}
for _, id in ipairs(ids) do
  ends[#ends + 1] = at + ARGV[4]
  ends[#ends + 1] = id
end
if #ends > 0 then call('ZADD', leased, unpack(ends)) end
record(table.concat(lost, ' '))
return lost
`,
)

/** Arguments: id and holder. */
const runsAloneScript = new Script(
  'once',
  `${held}
local ids, kept, lost = held(4)
if #ids > 0 then call('HSET', states, ids[1], string.sub(kept[1], 1, -2) .. '1') end
record(table.concat(lost, ' '))
return lost
`,
)

/** Arguments: the delay in ms, the failure as JSON or an empty text, then id and holder of each. */
const releaseScript = new Script(
  'once',
  `${held}${addReady}${parsed}
local delayMs, failure = tonumber(ARGV[4]), ARGV[5]
local ids, kept, lost = held(6)
if #ids > 0 then
  local at = now()
  local entries, fresh, changed = {}, {}, {}
  for i, id in ipairs(ids) do
    local _, attempts, deaths, deathsAlone = parsed(kept[i])
    if failure == '' then
      attempts = attempts - 1
    else
      local before = call('HGET', failures, id)
      call('HSET', failures, id, before and before .. '\\n' .. failure or failure)
    end
    if attempts == 0 then
      fresh[#fresh + 1] = id
    else
      changed[#changed + 1] = id
      changed[#changed + 1] = '- ' .. attempts .. ' ' .. deaths .. ' ' .. deathsAlone .. ' 0'
    end
    entries[#entries + 1] = at + delayMs
    entries[#entries + 1] = id
  end
  call('ZREM', leased, unpack(ids))
  if #fresh > 0 then call('HDEL', states, unpack(fresh)) end
  if #changed > 0 then call('HSET', states, unpack(changed)) end
  addReady(entries, at + delayMs, at)
end
record(table.concat(lost, ' '))
return lost
`,
)

/** Arguments: the completions that each removed one counts as, separated by spaces, then id and holder of each. */
const deleteScript = new Script(
  'once',
  `${held}${forget}
local ids, _, lost, places = held(5)
if #ids > 0 then
  forget(ids)
  local completions, sum = {}, 0
  for count in string.gmatch(ARGV[4], '%d+') do completions[#completions + 1] = count end
  for _, place in ipairs(places) do sum = sum + (completions[place + 1] or 0) end
  if sum > 0 then call('HINCRBY', meta, 'completed', string.format('%d', sum)) end
end
record(table.concat(lost, ' '))
return lost
`,
)

/** Arguments: the new body, then id and holder. */
const replaceScript = new Script(
  'once',
  `${held}
local ids, _, lost = held(5)
if #ids > 0 then call('HSET', bodies, ids[1], ARGV[4]) end
record(table.concat(lost, ' '))
return lost
`,
)

/** Arguments: the reason, then id and holder. */
const quarantineScript = new Script(
  'once',
  `${held}${forget}
local ids, _, lost = held(5)
if #ids > 0 then
  call('HSET', quarantined, ids[1], ARGV[4] .. '\\n' .. call('HGET', bodies, ids[1]))
  forget(ids)
end
record(table.concat(lost, ' '))
return lost
`,
)

/** Arguments: id, body and number of tasks of the message to store in the other queue, then id and holder. */
const moveScript = new Script(
  'once',
  `${held}${forget}
local ids, _, lost = held(7)
if #ids > 0 then
  local id, at = ARGV[4], now()
  forget(ids)
  if call('HSETNX', other_bodies, id, ARGV[5]) == 1 then
    local ready, wake = other_ready, other_wake
    ${addReady}
    addReady({ at, id }, at, at)
    if tonumber(ARGV[6]) > 1 then
      call('HSET', other_packs, id, ARGV[6])
      call('HINCRBY', other_meta, 'more', ARGV[6] - 1)
    end
  end
  call('HSETNX', other_meta, 'layout', ${layoutVersion})
end
record(table.concat(lost, ' '))
return lost
`,
)

/** The leases now end `seconds` from now. */
export function renewLeases(queue: RedisQueue, leases: readonly Lease[], seconds: number) {
  return change(queue, renewScript, 'renew leases of', [Math.round(seconds * 1000)], leases)
}

/** Releases leases. */
export function releaseLeases(
  queue: RedisQueue,
  leases: readonly Lease[],
  { delaySeconds, failure }: { readonly delaySeconds: number; readonly failure?: Failure },
) {
  const args = [Math.round(delaySeconds * 1000), failure === undefined ? '' : JSON.stringify(failure)]
  return change(queue, releaseScript, 'release leases of', args, leases)
}

/** Removes finished messages. */
export function deleteLeases(
  queue: RedisQueue,
  leases: readonly Lease[],
  { tally, completions }: { readonly tally: boolean; readonly completions?: readonly number[] },
) {
  const counted = tally ? leases.map((_, index) => completions?.[index] ?? 1).join(' ') : ''
  return change(queue, deleteScript, 'delete from', [counted], leases)
}

/** Notes that a message runs alone. @throws LeaseLostError */
export async function runsAlone(queue: RedisQueue, lease: Lease): Promise<void> {
  throwFirst(await change(queue, runsAloneScript, 'mark a message of', [], [lease]))
}

/** Replaces the body of a leased message. @throws LeaseLostError */
export async function replaceBody(queue: RedisQueue, lease: Lease, body: string): Promise<void> {
  throwFirst(await change(queue, replaceScript, 'replace a message of', [body], [lease]))
}

/** Quarantines a message. @throws LeaseLostError */
export async function quarantine(queue: RedisQueue, lease: Lease, reason: string): Promise<void> {
  const line = reason.replaceAll('\n', ' ')
  throwFirst(await change(queue, quarantineScript, 'set a message aside in', [line], [lease]))
}

/** Deletes a message, and stores another one in another queue that a script reaches too. @throws LeaseLostError */
export async function moveLeased(
  queue: RedisQueue,
  lease: Lease,
  { id, body }: Message,
  other: RedisQueue,
): Promise<void> {
  throwFirst(await change(queue, moveScript, 'move a message from', [id, body, tasksOfMessage(id)], [lease], other))
}

async function change(
  queue: RedisQueue,
  script: Script,
  action: string,
  args: readonly (string | number)[],
  leases: readonly Lease[],
  other?: RedisQueue,
): Promise<readonly BatchFailure[]> {
  if (leases.length === 0) return []
  const pairs = leases.flatMap(({ id, handle }) => [id, String(handle)])
  const lost = (await queue.run(script, action, [...args, ...pairs], other && { other })) as number[]
  return lost.flatMap(index => {
    const lease = leases[index]
    return lease === undefined ? [] : [{ index, error: leaseLost(queue, lease) }]
  })
}

function leaseLost({ label }: RedisQueue, { id }: Lease): LeaseLostError {
  const message = `The lease of ${id} in ${label} was lost: it ran out, was released, or the message is gone.`
  return new LeaseLostError(message, { id })
}

function throwFirst([failure]: readonly BatchFailure[]): void {
  if (failure !== undefined) throw failure.error
}
