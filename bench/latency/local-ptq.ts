// From `insertAll([one task])` to its end, with threads that are already running.
import { LocalTaskQueue, partial } from 'ptq'
import { numberOf, runCase } from '../case.js'
import { noop } from '../local/tasks.js'
import { measureWaits } from './waits.js'

await runCase(
  parameters => {
    const lq = new LocalTaskQueue({ parallel: numberOf(parameters, 'parallel'), progress: false })
    return {
      run: n =>
        measureWaits(n, async () => {
          const startMs = performance.now()
          await lq.insertAll([partial(noop, 0)])
          return performance.now() - startMs
        }),
      close: () => lq.close(),
    }
  },
  { warmUp: 50 },
)
