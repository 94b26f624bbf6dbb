// No-op tasks into a file queue, on one thread, as packs or as slices of a range.
import { partial, range, TaskQueue } from 'ptq'
import { numberOf, runCase } from '../case.js'
import { countMany } from '../counter.js'
import { QueueFolders } from '../fq/folder.js'
import { noop } from '../local/tasks.js'

function* tasks(n: number) {
  for (let index = 0; index < n; index++) yield partial(noop, index)
}

await runCase(
  parameters => {
    const folders = new QueueFolders(parameters.dir)
    const pack = numberOf(parameters, 'pack')
    const isSlices = parameters.settings.slices === 1
    return {
      async run(n) {
        await using queue = new TaskQueue(`fq://${folders.next()}`, { progress: false })
        const inserted = await queue.insert(isSlices ? range(noop, 0, n) : tasks(n), pack === 1 ? {} : { pack })
        const enqueued = await queue.enqueued()
        if (enqueued !== inserted) throw new Error(`Expected ${inserted} tasks in the queue, got ${enqueued}`)
        countMany(inserted)
      },
    }
  },
  { warmUp: 20_000 },
)
