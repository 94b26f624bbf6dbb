import { after, test } from 'node:test'
import fc from 'fast-check'
import pg from 'pg'
import type { Backend } from '#ptq/backend/backend.js'
import type { Lease } from '#ptq/backend/messages.js'
import { noServer, startServer } from '../../bench/postgres/server.js'
import { Comparison } from '../model/compare.js'
import { steps } from '../model/steps.js'
import { newName, openQueue, withoutQueue } from './queue.js'

/** The number of sequences of up to 60 steps; PTQ_MODEL_RUNS=10000 searches longer. */
const numRuns = Number(process.env.PTQ_MODEL_RUNS ?? 200) / 20

const skip = await noServer()

test('postgres behaves like the model for any order of steps of several holders', { skip }, async () => {
  const server = await startServer()
  after(() => server.close())
  const admin = new pg.Client({ connectionString: withoutQueue(server.url('q')) })
  await admin.connect()
  await fc.assert(
    fc.asyncProperty(steps, async sequence => {
      const name = newName()
      const subject = {
        open: async () => leasingAll(await openQueue(server.url(name))),
        // The server's clock can't be set: the queue's times move instead.
        async pass(seconds: number) {
          const text = `UPDATE ptq.messages SET free_at = free_at - $2 * interval '1 second'
                        WHERE queue = (SELECT id FROM ptq.queues WHERE name = $1)`
          await admin.query(text, [name, seconds]).catch(() => undefined)
        },
      }
      await new Comparison(subject).play(sequence)
    }),
    { numRuns },
  )
  await admin.end()
})

/** One call may find fewer than there are, behind what it found before; the next one finds the rest. */
function leasingAll(backend: Backend): Backend {
  return new Proxy(backend, {
    get(target, key) {
      if (key === 'lease') {
        return async (options: { seconds: number; max: number; waitSeconds: number }) => {
          const leases: Lease[] = []
          for (;;) {
            const more = await target.lease({ ...options, max: options.max - leases.length })
            leases.push(...more)
            if (more.length === 0 || leases.length === options.max) return leases
          }
        }
      }
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
