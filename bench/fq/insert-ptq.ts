// No-op tasks from a generator into a file queue, on one thread.
import { partial, TaskQueue } from 'ptq'
import { runCase } from '../case.js'
import { countMany } from '../counter.js'
import { noop } from '../local/tasks.js'
import { QueueFolders, requireQueued } from './folder.js'
import { fileSystemOf } from './slow-files.js'

function* tasks(n: number) {
  for (let index = 0; index < n; index++) yield partial(noop, index)
}

await runCase(
  parameters => {
    const folders = new QueueFolders(parameters.dir)
    const options = { progress: false, ...fileSystemOf(parameters) }
    let inserted = 0
    return {
      async run(n) {
        const queue = new TaskQueue(`fq://${folders.next()}`, options)
        countMany(await queue.insert(tasks(n)))
        await queue.close()
        inserted = n
      },
      close: () => requireQueued(folders.root, inserted),
    }
  },
  { warmUp: 20_000 },
)
