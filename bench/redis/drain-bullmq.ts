// The rival of a worker: BullMQ.
import { numberOf, runCase } from '../case.js'
import { noop } from '../local/tasks.js'
import { jobOptions, loadBullMq } from './bullmq.js'
import { startServer } from './server.js'

/** Jobs of one call. */
const BATCH = 1_000

await runCase(
  async parameters => {
    const { Queue, Worker } = loadBullMq()
    const server = await startServer(parameters.dir)
    const connection = { port: server.port, maxRetriesPerRequest: null }
    const concurrency = numberOf(parameters, 'concurrency')
    const queue = new Queue('bench', { connection })
    return {
      async fill(n) {
        for (let start = 0; start < n; start += BATCH) {
          const count = Math.min(BATCH, n - start)
          await queue.addBulk(
            Array.from({ length: count }, (_, i) => ({ name: 'noop', data: { args: [start + i] }, opts: jobOptions })),
          )
        }
      },
      async run(n) {
        let left = n
        const work = async ({ data }: { data: unknown }) => {
          noop((data as { args: [number] }).args[0])
        }
        const worker = new Worker('bench', work, { connection, concurrency, autorun: false })
        const done = new Promise<void>(resolve => {
          worker.on('completed', () => {
            if (--left === 0) resolve()
          })
        })
        const running = worker.run()
        await done
        await worker.close()
        await running
      },
      async close() {
        await queue.close()
        server.stop()
      },
    }
  },
  { warmUp: 1_000 },
)
