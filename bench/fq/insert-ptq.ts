// Inserting from a generator, in the calling thread.
import { partial, TaskQueue } from 'ptq'
import { runCase } from '../case.js'
import { countOne } from '../counter.js'
import { noop } from '../local/tasks.js'

function* tasks(n: number) {
  for (let index = 0; index < n; index++) yield partial(noop, index)
}

await runCase(
  ({ dir }) => {
    const tq = new TaskQueue(`fq://${dir}/queue`, { progress: false })
    return {
      async run(n) {
        const before = await tq.inserted().catch(() => 0)
        await tq.insert(tasks(n), { total: n })
        for (let counted = await tq.inserted(); counted > before; counted--) countOne()
      },
      close: () => tq.close(),
    }
  },
  { warmUp: 5_000 },
)
