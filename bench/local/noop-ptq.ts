// No-op tasks from a generator, by LocalTaskQueue.
import { LocalTaskQueue, partial } from 'ptq'
import { numberOf, runCase } from '../case.js'
import { noop } from './tasks.js'

function* tasks(n: number) {
  for (let index = 0; index < n; index++) yield partial(noop, index)
}

await runCase(
  parameters => {
    const lq = new LocalTaskQueue({ parallel: numberOf(parameters, 'parallel'), progress: false })
    return {
      async run(n) {
        await lq.insertAll(tasks(n))
      },
      close: () => lq.close(),
    }
  },
  { warmUp: 20_000 },
)
