// One worker leases no-op tasks, runs, removes and counts them.
import { TaskQueue } from 'ptq'
import { numberOf, runCase } from '../case.js'
import '../local/tasks.js'
import { QueueFolders, requireDrained } from './folder.js'
import { fileSystemOf } from './slow-files.js'

await runCase(
  parameters => {
    const folders = new QueueFolders(parameters.dir)
    const parallel = numberOf(parameters, 'parallel')
    const options = { progress: false, ...fileSystemOf(parameters) }
    return {
      async fill(n) {
        await folders.fill(n)
      },
      async run(n) {
        const queue = new TaskQueue(`fq://${folders.root}`, options)
        await queue.poll({ parallel, tally: true, untilEmpty: true })
        await queue.close()
        requireDrained(folders.root, n)
      },
    }
  },
  { warmUp: 20_000 },
)
