// One task that blocks its thread for two seconds, in the middle of many that do nothing.
import { LocalTaskQueue, partial } from 'ptq'
import { numberOf, runCase } from '../case.js'
import { block, noop } from './tasks.js'

function* tasks(n: number, slowMs: number) {
  const middle = n >> 1
  for (let index = 0; index < n; index++) yield index === middle ? partial(block, slowMs) : partial(noop, index)
}

await runCase(
  parameters => {
    const lq = new LocalTaskQueue({ parallel: numberOf(parameters, 'parallel'), progress: false })
    const slowMs = numberOf(parameters, 'slowMs')
    let warm = false
    return {
      async run(n) {
        // The warm-up has no slow task.
        await lq.insertAll(tasks(n, warm ? slowMs : 0))
        warm = true
      },
      close: () => lq.close(),
    }
  },
  { warmUp: 20_000 },
)
