/** Lua scripts: each verb is one, so it is done wholly or not at all, by the server's clock. */
import { createHash } from 'node:crypto'
import { longestRetrySeconds } from './options.js'

/**
 * The keys of a queue, by their names in scripts.
 *
 * ```text
 * bodies       hash        id → body; an id that is here is enqueued
 * ready        sorted set  id by the time from which it may be leased (ms): inserted and released messages
 * leased       sorted set  id by the end of its lease (ms)
 * states       hash        id → "holder attempts deaths deathsAlone runsAlone"; none before the first lease
 * failures     hash        id → its recorded failures, one JSON text a line
 * packs        hash        id → number of tasks, of each message that has several
 * quarantined  hash        id → reason, line break, body
 * meta         hash        layout, inserted, completed, more: the number of tasks beyond one a message
 * wake         sorted set  one member while an idle worker is to look at the queue
 * uploads      hash        field of an upload → its state
 * ranges       sorted set  stored ranges of uploads, by name (all scores are 0)
 * workers      hash        worker → its status
 * seen         sorted set  worker by the time of its last status (ms)
 * results      set         names of runs whose outcomes are kept; each has a stream, see results.ts
 * calls        hash        slot → number and reply of the last call in that slot; a key of its own for each client
 * ```
 */
export const keyNames = [
  'bodies',
  'ready',
  'leased',
  'states',
  'failures',
  'packs',
  'quarantined',
  'meta',
  'wake',
  'uploads',
  'ranges',
  'workers',
  'seen',
  'results',
  'calls',
] as const

export type KeyName = (typeof keyNames)[number]

/** Milliseconds that the replies of a client's last calls are kept: longer than any call is tried again. */
const replyKeptMs = 2 * longestRetrySeconds * 1000

const prelude = `
local call = redis.call
local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
`

// A connection may break after the server ran a script and before its reply came. The call is then sent again with its
// number, and gets the first reply. A call that arrives late, by an abandoned connection, finds a higher number.
const recorded = `
local slot, number, again = ARGV[1], ARGV[2], ARGV[3] == '1'
local function record(reply)
  call('HSET', calls, slot, number .. ' ' .. reply)
  call('PEXPIRE', calls, ${replyKeptMs})
end
local last = call('HGET', calls, slot)
local repeated
if last then
  local space = string.find(last, ' ', 1, true)
  local lastNumber = tonumber(string.sub(last, 1, space - 1))
  if lastNumber > tonumber(number) then return redis.error_reply('PTQLATE this call was given up') end
  if lastNumber == tonumber(number) then repeated = string.sub(last, space + 1) end
end
`

const replayed = `
if repeated then
  local reply = {}
  for text in string.gmatch(repeated, '%S+') do reply[#reply + 1] = tonumber(text) end
  return reply
end
`

/**
 * - `repeatable`: changes nothing, or the same when it runs twice. Its arguments begin at `ARGV[1]`.
 * - `once`: records its reply, a list of integers, which a repeated call gets again. Its arguments begin at `ARGV[4]`.
 * - `lease`: as `once`, but it answers a repeated call itself, by what was recorded.
 */
export type ScriptKind = 'repeatable' | 'once' | 'lease'

/** A script and the hash by which the server knows it once it has run. */
export class Script {
  readonly kind: ScriptKind
  readonly text: string
  readonly sha: string
  /** The keys that it names: it gets no other ones. */
  readonly keys: readonly KeyName[]
  /** The keys of another queue that it names, as `other_ready`. */
  readonly otherKeys: readonly KeyName[]

  constructor(kind: ScriptKind, body: string) {
    const text = `${prelude}${kind === 'repeatable' ? '' : recorded}${kind === 'once' ? replayed : ''}${body}`
    const named = (prefix: string) => keyNames.filter(key => new RegExp(`\\b${prefix}${key}\\b`).test(text))
    this.kind = kind
    this.keys = named('')
    this.otherKeys = named('other_')
    const locals = [...this.keys, ...this.otherKeys.map(key => `other_${key}`)]
    this.text = `local ${locals.join(', ')} = unpack(KEYS)\n${text}`
    this.sha = createHash('sha1').update(this.text).digest('hex')
  }
}
