// Tasks that wait, several at once in each thread, by LocalTaskQueue.
import { LocalTaskQueue, partial } from 'ptq'
import { numberOf, runCase } from '../case.js'
import { wait } from './tasks.js'

function* tasks(n: number, ms: number) {
  for (let index = 0; index < n; index++) yield partial(wait, ms)
}

await runCase(
  parameters => {
    const lq = new LocalTaskQueue({
      parallel: numberOf(parameters, 'parallel'),
      concurrency: numberOf(parameters, 'concurrency'),
      progress: false,
    })
    return {
      async run(n) {
        await lq.insertAll(tasks(n, numberOf(parameters, 'ms')))
      },
      close: () => lq.close(),
    }
  },
  { warmUp: 1_000 },
)
