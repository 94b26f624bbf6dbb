/** Lists messages without leasing them. */

import { IdSet } from '../../backend/id-set.js'
import type { Failure, ListedMessage } from '../../backend/messages.js'
import { failuresFrom } from '../../backend/recorded-failures.js'
import type { RedisQueue } from './queue.js'
import { Script } from './script.js'

/** Approximate number of messages that one script lists. */
const pageSize = 100

/**
 * Arguments: the cursor. Replies with the next cursor, then id, body, `1` for a lease that runs or `0`, and the ms until it may be leased
 * of each.
 */
const pageScript = new Script(
  'repeatable',
  `local page = call('HSCAN', bodies, ARGV[1], 'COUNT', ${pageSize})
local at, result = now(), { page[1] }
for i = 1, #page[2], 2 do
  local id = page[2][i]
  local leaseEnd = call('ZSCORE', leased, id)
  local free = tonumber(leaseEnd or call('ZSCORE', ready, id) or 0)
  result[#result + 1] = id
  result[#result + 1] = page[2][i + 1]
  result[#result + 1] = leaseEnd and free > at and '1' or '0'
  result[#result + 1] = string.format('%d', free - at)
end
return result
`,
)

const failuresScript = new Script('repeatable', `return { call('HGET', failures, ARGV[1]) or '' }`)

/** Yields each message once; a scan may show one twice while others come and go. */
export async function* listMessages(queue: RedisQueue): AsyncGenerator<ListedMessage, void, undefined> {
  const seen = new IdSet()
  for (let cursor = '0'; ; ) {
    const [next = '0', ...parts] = (await queue.run(pageScript, 'list', [cursor])) as string[]
    for (let i = 0; i + 3 < parts.length; i += 4) {
      const [id = '', body = '', isLeased, leftMs] = parts.slice(i, i + 4)
      if (!seen.add(id)) continue
      const availableInSeconds = Number(leftMs) / 1000
      if (availableInSeconds <= 0) yield { id, body, state: 'ready' }
      else yield { id, body, state: isLeased === '1' ? 'leased' : 'delayed', availableInSeconds }
    }
    if (next === '0') return
    cursor = next
  }
}

/** The recorded failures of a message, oldest first. */
export async function failuresOf(queue: RedisQueue, id: string): Promise<readonly Failure[]> {
  const [lines = ''] = (await queue.run(failuresScript, 'read failures of', [id])) as string[]
  return lines === '' ? [] : failuresFrom(lines.split('\n').map(line => JSON.parse(line) as unknown))
}
