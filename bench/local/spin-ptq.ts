// CPU-bound tasks, by LocalTaskQueue.
import { LocalTaskQueue, partial } from 'ptq'
import { numberOf, runCase } from '../case.js'
import { spin } from './tasks.js'

function* tasks(n: number) {
  for (let index = 0; index < n; index++) yield partial(spin, index)
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
  { warmUp: 40 },
)
