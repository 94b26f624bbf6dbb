// The rival of a worker: leases and deletes in a loop, by hand-written SQL in batches on one connection.
import { runCase } from '../case.js'
import { noop } from '../local/tasks.js'
import { BATCH, openBareQueue } from './bare-sql.js'
import { databaseOf, startBenchServer } from './bench-server.js'

await runCase(
  async () => {
    const server = await startBenchServer()
    const queue = await openBareQueue(databaseOf(server))
    return {
      async fill(n) {
        for (let start = 0; start < n; start += BATCH) {
          const count = Math.min(BATCH, n - start)
          await queue.insert(Array.from({ length: count }, (_, i) => JSON.stringify({ args: [start + i] })))
        }
      },
      async run() {
        while ((await queue.work(body => noop(JSON.parse(body).args[0]))) > 0);
      },
      async close() {
        await queue.close()
        await server.close()
      },
    }
  },
  { warmUp: 5_000 },
)
