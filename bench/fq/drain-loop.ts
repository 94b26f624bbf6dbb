// The floor of draining.
import { runCase } from '../case.js'
import { countOne } from '../counter.js'
import { BareQueue } from './bare-queue.js'

const WARM_UP = 5_000

await runCase(
  ({ dir, n }) => {
    const queue = BareQueue.make(dir)
    for (let index = 0; index < n + WARM_UP; index++) queue.insert()
    return {
      run(count) {
        for (let index = 0; index < count; index++) {
          queue.finish()
          countOne()
        }
      },
    }
  },
  { warmUp: WARM_UP },
)
