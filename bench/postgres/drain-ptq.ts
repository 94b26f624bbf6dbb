// One worker leases no-op tasks from PostgreSQL, runs and deletes them.
import { partial, TaskQueue } from 'ptq'
import { numberOf, runCase } from '../case.js'
import { noop } from '../local/tasks.js'
import { startBenchServer } from './bench-server.js'

await runCase(
  async parameters => {
    const parallel = numberOf(parameters, 'parallel')
    const server = await startBenchServer()
    const tq = new TaskQueue(server.url('bench'), { progress: false })
    return {
      async fill(n) {
        await tq.insert(Array.from({ length: n }, (_, index) => partial(noop, index)))
      },
      async run(n) {
        const executed = await tq.poll({ parallel, untilEmpty: true })
        if (executed !== n) throw new Error(`Expected ${n} tasks to be deleted, ${executed} were`)
      },
      async close() {
        await tq.close()
        await server.close()
      },
    }
  },
  { warmUp: 5_000 },
)
