/** The least that a queue on Redis needs, in batches: a sorted set of ids by time, hashes of bodies and holders, a script a verb. */
import { Redis } from 'ioredis'

/** Messages of one call. */
export const BATCH = 100

const KEYS = ['bare:ids', 'bare:bodies', 'bare:holders'] as const

const INSERT = `for i = 2, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], ARGV[1], ARGV[i])
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end`

const LEASE = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local result = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])) do
  redis.call('ZADD', KEYS[1], now + 600000, id)
  redis.call('HSET', KEYS[3], id, ARGV[2])
  result[#result + 1] = id
  result[#result + 1] = redis.call('HGET', KEYS[2], id)
end
return result`

const DELETE = `for i = 2, #ARGV do
  if redis.call('HGET', KEYS[3], ARGV[i]) == ARGV[1] then
    redis.call('ZREM', KEYS[1], ARGV[i])
    redis.call('HDEL', KEYS[2], ARGV[i])
    redis.call('HDEL', KEYS[3], ARGV[i])
  end
end`

export interface BareQueue {
  insert(pairs: readonly string[]): Promise<unknown>
  /** Resolves with id and body of each. */
  lease(holder: string): Promise<string[]>
  delete(holder: string, ids: readonly string[]): Promise<unknown>
  close(): void
}

export async function openBareQueue(port: number): Promise<BareQueue> {
  const client = new Redis({ port })
  const load = async (script: string) => String(await client.script('LOAD', script))
  const [insert, lease, remove] = [await load(INSERT), await load(LEASE), await load(DELETE)]
  const run = (sha: string, args: readonly (string | number)[]) => client.evalsha(sha, KEYS.length, ...KEYS, ...args)
  return {
    insert: pairs => run(insert, [0, ...pairs]),
    lease: async holder => (await run(lease, [BATCH, holder])) as string[],
    delete: (holder, ids) => run(remove, [holder, ...ids]),
    close: () => client.disconnect(),
  }
}
