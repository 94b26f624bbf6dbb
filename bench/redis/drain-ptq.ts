// One worker leases no-op tasks from Redis, runs and deletes them.
import { partial, TaskQueue } from 'ptq'
import { numberOf, runCase } from '../case.js'
import { noop } from '../local/tasks.js'
import { startServer } from './server.js'

await runCase(
  async parameters => {
    const parallel = numberOf(parameters, 'parallel')
    const server = await startServer(parameters.dir)
    const tq = new TaskQueue(server.url, { progress: false })
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
        server.stop()
      },
    }
  },
  { warmUp: 1_000 },
)
