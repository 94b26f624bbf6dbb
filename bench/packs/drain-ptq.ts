// One worker leases packs of no-op tasks, runs each, and counts them.
import { partial, range, TaskQueue } from 'ptq'
import { numberOf, runCase } from '../case.js'
import { QueueFolders } from '../fq/folder.js'
import { noop } from '../local/tasks.js'

function* tasks(n: number) {
  for (let index = 0; index < n; index++) yield partial(noop, index)
}

await runCase(
  parameters => {
    const folders = new QueueFolders(parameters.dir)
    const pack = numberOf(parameters, 'pack')
    const parallel = numberOf(parameters, 'parallel')
    const isSlices = parameters.settings.slices === 1
    let url = ''
    return {
      async fill(n) {
        url = `fq://${folders.next()}`
        await using queue = new TaskQueue(url, { progress: false })
        await queue.insert(isSlices ? range(noop, 0, n) : tasks(n), pack === 1 ? {} : { pack })
      },
      async run(n) {
        await using queue = new TaskQueue(url, { progress: false })
        await queue.poll({ parallel, tally: true, untilEmpty: true })
        const { enqueued, completed } = await queue.status()
        if (enqueued !== 0 || completed !== n) throw new Error(`Expected ${n} completed tasks, got ${completed}`)
      },
    }
  },
  { warmUp: 20_000 },
)
