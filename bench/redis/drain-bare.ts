// The rival of a worker: a plain loop over the least scripts. Each turn leases a batch, runs it, and deletes it.
import { randomUUID } from 'node:crypto'
import { runCase } from '../case.js'
import { noop } from '../local/tasks.js'
import { BATCH, openBareQueue } from './bare-scripts.js'
import { startServer } from './server.js'

await runCase(
  async ({ dir }) => {
    const server = await startServer(dir)
    const queue = await openBareQueue(server.port)
    return {
      async fill(n) {
        for (let start = 0; start < n; start += BATCH) {
          const count = Math.min(BATCH, n - start)
          const pairs = Array.from({ length: count }, (_, i) => [randomUUID(), JSON.stringify({ args: [start + i] })])
          await queue.insert(pairs.flat())
        }
      },
      async run() {
        for (;;) {
          const holder = randomUUID()
          const found = await queue.lease(holder)
          if (found.length === 0) return
          const ids: string[] = []
          for (let i = 0; i + 1 < found.length; i += 2) {
            ids.push(found[i] ?? '')
            noop(JSON.parse(found[i + 1] ?? '').args[0])
          }
          await queue.delete(holder, ids)
        }
      },
      close() {
        queue.close()
        server.stop()
      },
    }
  },
  { warmUp: 1_000 },
)
