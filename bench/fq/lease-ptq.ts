// Leases alone: a part of the queued tasks, a thousand a call.
import { TaskQueue } from 'ptq'
import { numberOf, runCase } from '../case.js'
import { countMany } from '../counter.js'
import { QueueFolders } from './folder.js'

const BATCH = 1000

await runCase(
  parameters => {
    const folders = new QueueFolders(parameters.dir)
    const queuedPerLease = numberOf(parameters, 'queuedPerLease')
    return {
      async fill(n) {
        await folders.fill(n * queuedPerLease)
      },
      async run(n) {
        const queue = new TaskQueue(`fq://${folders.root}`, { progress: false })
        for (let leased = 0; leased < n; ) {
          const tasks = await queue.lease({ numTasks: Math.min(BATCH, n - leased) })
          if (tasks.length === 0) throw new Error(`Expected ${n} leases, got ${leased}`)
          countMany(tasks.length)
          leased += tasks.length
        }
      },
    }
  },
  { warmUp: 1_000 },
)
