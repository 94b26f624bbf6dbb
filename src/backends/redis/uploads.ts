/** Journals of uploads: a part is stored together with the note of its range, by one script. */
import { randomUUID } from 'node:crypto'
import type { BatchFailure, Message } from '../../backend/messages.js'
import { requireSameUpload } from '../../backend/same-upload.js'
import type { UploadHead, UploadState, Uploads } from '../../backend/uploads.js'
import { UploadGoneError } from '../../errors/errors.js'
import { argumentsOf, partsOf } from './insert.js'
import type { RedisQueue } from './queue.js'
import { Script } from './script.js'
import { storeNew } from './stored-messages.js'

interface Range {
  readonly start: number
  readonly end: number
}

/** Ranges of one reply. */
const pageSize = 1_000

/** Age at which an upload without a name of a dead process is removed. Milliseconds. */
const staleMs = 30 * 24 * 3_600_000

const unnamedPrefix = '~'
const namedPrefix = '='

/**
 * An upload is a field of `uploads`: run, counted, finished (0 or 1), time of its start or last takeover (ms), head, a
 * line each. Its ranges are members of `ranges`, `<SHA-1 of the field>:<start>:<end>` with 16 digits, in the order of
 * their starts. None overlap.
 */
const uploadState = `
local function stateOf(field)
  local state = call('HGET', uploads, field)
  if not state then return nil end
  return string.match(state, '^([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n([^\\n]*)\\n(.*)$')
end
local function saveState(field, ...)
  call('HSET', uploads, field, table.concat({ ... }, '\\n'))
end
local function member(field, first, last)
  return string.format('%s:%016d:%016d', redis.sha1hex(field), first, last)
end
local function dropRanges(field)
  local key = redis.sha1hex(field)
  call('ZREMRANGEBYLEX', ranges, '[' .. key .. ':', '(' .. key .. ';')
end
local function boundsOf(range)
  local first, last = string.match(range, ':(%d+):(%d+)$')
  return tonumber(first), tonumber(last)
end
-- The last ranges that begin before \`position\`, the nearest first.
local function rangesBefore(field, position, count)
  local key = redis.sha1hex(field)
  local upper = string.format('(%s:%016d', key, position)
  return call('ZREVRANGEBYLEX', ranges, upper, '[' .. key .. ':', 'LIMIT', 0, count)
end
`

/** Arguments: field, new run, head. Replies with the head of the upload, counted and finished; a new one is begun. */
const beginScript = new Script(
  'repeatable',
  `${uploadState}
local field, newRun, head, isSame = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local at = now()
local page = call('HSCAN', uploads, 0, 'COUNT', 100)[2]
for i = 1, #page, 2 do
  if string.sub(page[i], 1, 1) == '${unnamedPrefix}' then
    local _, _, _, begunAt = stateOf(page[i])
    if at - tonumber(begunAt) > ${staleMs} then
      call('HDEL', uploads, page[i])
      dropRanges(page[i])
    end
  end
end
local run, counted, finished, _, begun = stateOf(field)
if not run then
  saveState(field, newRun, '0', '0', string.format('%d', at), head)
  return { head, '0', '0' }
end
-- The seed may differ: it is that of the beginning. Anything else is another upload, which is told and changes nothing.
local function withoutSeed(text) return string.match(text, '^[^\\n]*\\n(.*)$') end
if withoutSeed(begun) == withoutSeed(head) then
  saveState(field, newRun, counted, finished, string.format('%d', at), begun)
end
return { begun, counted, finished }
`,
)

/**
 * Arguments: field, run, index of the first message, delay in ms, sizes of packs, then id and body of each. Replies with 1, or 0 where
 * the upload is not the caller's. What is stored of it is not stored again, even if it was leased and finished since: so a repeated call does nothing.
 */
const insertScript = new Script(
  'repeatable',
  `${uploadState}${storeNew}
local field, first = ARGV[1], tonumber(ARGV[3])
local run, _, finished = stateOf(field)
if run ~= ARGV[2] or finished == '1' then return { 0 } end
local at = now()
local count = (#ARGV - 5) / 2
local last = first + count
local near = rangesBefore(field, last, 1)
local covered = {}
local start = first
if near[1] then
  local nearFirst, nearLast = boundsOf(near[1])
  if nearLast > first then
    for _, range in ipairs(rangesBefore(field, last, count + 1)) do
      local from, to = boundsOf(range)
      for i = math.max(from, first), math.min(to, last) - 1 do covered[i - first] = true end
    end
  elseif nearLast == first then
    -- One range for parts that follow one another.
    call('ZREM', ranges, near[1])
    start = nearFirst
  end
end
storeNew(ARGV[5], 6, at + ARGV[4], at, function(offset) return not covered[offset] end)
local from = start
for i = first, last do
  if i == last or covered[i - first] then
    if i > from then call('ZADD', ranges, 0, member(field, from, i)) end
    from = i + 1
  end
end
return { 1 }
`,
)

/**
 * Arguments: field, run, start, end. Replies with 1, then start and end of stored ranges that overlap with that, the first ones; or with
 * 0 where the upload is not the caller's.
 */
const settleScript = new Script(
  'repeatable',
  `${uploadState}
local field, first, last = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
if stateOf(field) ~= ARGV[2] then return { 0 } end
local key = redis.sha1hex(field)
local reply = { 1 }
local function add(range)
  local from, to = boundsOf(range)
  if to <= first then return end
  reply[#reply + 1] = from
  reply[#reply + 1] = to
end
for _, range in ipairs(rangesBefore(field, first, 1)) do add(range) end
local lower, upper = string.format('[%s:%016d', key, first), string.format('(%s:%016d', key, last)
for _, range in ipairs(call('ZRANGEBYLEX', ranges, lower, upper, 'LIMIT', 0, ${pageSize})) do add(range) end
return reply
`,
)

/** Arguments: field, run, the count or an empty text, 1 if it is finished. Replies with 1, or 0 where it is not the caller's. */
const noteScript = new Script(
  'repeatable',
  `${uploadState}
local field = ARGV[1]
local run, counted, finished, begunAt, head = stateOf(field)
if run ~= ARGV[2] then return { 0 } end
if ARGV[3] ~= '' then counted = ARGV[3] end
if ARGV[4] == '1' then
  finished = '1'
  dropRanges(field)
end
if finished == '1' and string.sub(field, 1, 1) == '${unnamedPrefix}' then
  call('HDEL', uploads, field)
else
  saveState(field, run, counted, finished, begunAt, head)
end
return { 1 }
`,
)

export class RedisUploads implements Uploads {
  readonly #queue: RedisQueue

  constructor(queue: RedisQueue) {
    this.#queue = queue
  }

  async begin(name: string | undefined, head: UploadHead): Promise<UploadState> {
    const field = name === undefined ? `${unnamedPrefix}${randomUUID()}` : `${namedPrefix}${name}`
    const run = `${field}/${randomUUID()}`
    const reply = (await this.#run(beginScript, 'begin an upload into', [field, run, textOf(head)])) as string[]
    const [begunText = '', counted, finished] = reply
    const begun = headOf(begunText)
    requireSameUpload(name ?? '', 'it (purge the queue)', begun, head)
    const stored = finished === '1' ? [] : await this.settle(run, { start: 0, end: Number.MAX_SAFE_INTEGER })
    return { run, head: begun, stored, counted: Number(counted), finished: finished === '1' }
  }

  async insert(
    run: string,
    start: number,
    messages: readonly Message[],
    { delaySeconds }: { delaySeconds: number },
  ): Promise<readonly BatchFailure[]> {
    const delayMs = Math.round(delaySeconds * 1000)
    let done = 0
    for (const part of partsOf(messages)) {
      const args = [fieldOf(run), run, start + done, delayMs, ...argumentsOf(part)]
      this.#requireOurs(await this.#run(insertScript, 'insert into', args))
      done += part.length
    }
    return []
  }

  async settle(run: string, { start, end }: Range): Promise<readonly Range[]> {
    const stored: Range[] = []
    for (let from = start; ; ) {
      const reply = await this.#run(settleScript, 'read an upload into', [fieldOf(run), run, from, end])
      const bounds = this.#requireOurs(reply)
      for (let i = 0; i + 1 < bounds.length; i += 2) stored.push({ start: bounds[i] ?? 0, end: bounds[i + 1] ?? 0 })
      if (bounds.length < 2 * pageSize) return stored
      from = stored.at(-1)?.end ?? end
    }
  }

  async counted(run: string, count: number): Promise<void> {
    this.#requireOurs(await this.#run(noteScript, 'note an upload into', [fieldOf(run), run, count, 0]))
  }

  async finish(run: string): Promise<void> {
    this.#requireOurs(await this.#run(noteScript, 'note an upload into', [fieldOf(run), run, '', 1]))
  }

  #run(script: Script, action: string, args: readonly (string | number)[]): Promise<unknown> {
    return this.#queue.run(script, action, args)
  }

  /** @returns what follows in the reply */
  #requireOurs(reply: unknown): readonly number[] {
    const [isOurs, ...rest] = reply as number[]
    if (isOurs === 1) return rest
    throw new UploadGoneError(`Another process took this upload up, or ${this.#queue.label} was purged`)
  }
}

/** A run begins with the field of its upload; the UUID after it has no slash. */
function fieldOf(run: string): string {
  return run.slice(0, run.lastIndexOf('/'))
}

/** The seed, then what must not change. */
function textOf({ seed, sequence, total }: UploadHead): string {
  return `${JSON.stringify(seed)}\n${JSON.stringify({ sequence, total })}`
}

function headOf(text: string): UploadHead {
  const [seed = '', rest = ''] = text.split('\n')
  const { sequence, total } = JSON.parse(rest) as { sequence: string; total?: number }
  return { seed: JSON.parse(seed) as string, sequence, total }
}
