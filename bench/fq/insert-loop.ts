// The floor of inserting.
import { runCase } from '../case.js'
import { countOne } from '../counter.js'
import { BareQueue } from './bare-queue.js'

await runCase(
  ({ dir }) => {
    const queue = BareQueue.make(dir)
    return {
      run(n) {
        for (let index = 0; index < n; index++) {
          queue.insert()
          countOne()
        }
      },
    }
  },
  { warmUp: 5_000 },
)
