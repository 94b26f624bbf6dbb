// Leases and deletes while a given number of tasks is queued.
import { partial, TaskQueue } from 'ptq'
import { numberOf, runCase } from '../case.js'
import { countMany } from '../counter.js'
import { noop } from '../local/tasks.js'
import { startBenchServer } from './bench-server.js'

const BATCH = 100

await runCase(
  async parameters => {
    const server = await startBenchServer()
    const tq = new TaskQueue(server.url('bench'), { progress: false })
    function* tasks(count: number) {
      for (let index = 0; index < count; index++) yield partial(noop, index)
    }
    return {
      async fill(n) {
        const missing = numberOf(parameters, 'queued') - (await tq.enqueued())
        await tq.insert(tasks(Math.max(missing, n)))
      },
      async run(n) {
        for (let left = n; left > 0; ) {
          const leased = await tq.lease({ numTasks: Math.min(BATCH, left) })
          await tq.delete(leased)
          countMany(leased.length)
          left -= leased.length
        }
      },
      async close() {
        await tq.close()
        await server.close()
      },
    }
  },
  { warmUp: 500 },
)
