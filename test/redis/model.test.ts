import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { Redis } from 'ioredis'
import { opener } from '#ptq/backends/redis/index.js'
import { Comparison } from '../model/compare.js'
import { steps } from '../model/steps.js'
import { noServer, startServer } from './server.js'

/** So many sequences of up to 60 steps; PTQ_MODEL_RUNS=10000 looks longer. */
const RUNS = Number(process.env.PTQ_MODEL_RUNS ?? 60)

/** The clock of a server can't be set: all times of the queue are set back instead. */
const BACK = `for _, key in ipairs(KEYS) do
  local entries = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  for i = 1, #entries, 2 do redis.call('ZADD', key, entries[i + 1] - ARGV[1], entries[i]) end
end`

test('redis does what the model does, whatever several holders do in whatever order', { skip: noServer }, async () => {
  const server = await startServer()
  const admin = new Redis({ port: server.port })
  // A failure prints the shortest sequence that still fails, and the seed and path that bring it back.
  await fc.assert(
    fc.asyncProperty(steps, async sequence => {
      const queue = randomUUID()
      const path = `127.0.0.1:${server.port}/0?queue=${queue}`
      await new Comparison({
        open: () => opener.open({ protocol: 'redis', path }, {}),
        async pass(seconds) {
          await admin.eval(BACK, 2, `ptq:{${queue}}:ready`, `ptq:{${queue}}:leased`, seconds * 1000)
        },
      }).play(sequence)
      await admin.flushall()
    }),
    { numRuns: RUNS },
  )
  admin.disconnect()
  await server.stop()
})
