// One worker receives no-op tasks from an SQS-compatible server, runs and deletes them.
import { randomUUID } from 'node:crypto'
import { partial, TaskQueue } from 'ptq'
import { numberOf, runCase } from '../case.js'
import { noop } from '../local/tasks.js'
import { ACCESS, startLineProcess } from './line-process.js'

await runCase(
  async parameters => {
    const parallel = numberOf(parameters, 'parallel')
    const server = await startLineProcess('server.js')
    const settings = { ...ACCESS, endpoint: server.endpoint, createIfMissing: true, emptyWindowSeconds: 0 }
    const tq = new TaskQueue(`sqs://bench-${randomUUID()}`, { ...settings, progress: false })
    return {
      async fill(n) {
        await tq.insert(Array.from({ length: n }, (_, index) => partial(noop, index)))
        await server.ask()
      },
      async run(n) {
        const executed = await tq.poll({ parallel, untilEmpty: true })
        const requests = Number(await server.ask())
        const left = await tq.enqueued()
        if (executed !== n || left !== 0)
          throw new Error(`Expected ${n} tasks to be deleted, ${executed} were, ${left} left`)
        return { requests }
      },
      async close() {
        await tq.close()
        server.close()
      },
    }
  },
  { warmUp: 1_000 },
)
