// A sliceable sequence of no-op tasks, inserted by threads.
import { TaskQueue } from 'ptq'
import { numberOf, runCase, textOf } from '../case.js'
import { countMany } from '../counter.js'
import { openDestinations } from '../uploads/destination.js'
import { Sliced } from '../uploads/tasks.js'
import { mainThreadShare } from './main-thread.js'

await runCase(
  async parameters => {
    const parallel = numberOf(parameters, 'parallel')
    const destinations = await openDestinations(textOf(parameters, 'queue'), parameters.dir)
    return {
      async run(n) {
        const { url, options } = await destinations.next()
        await using tq = new TaskQueue(url, options)
        const startMs = performance.now()
        const mainShare = await mainThreadShare(() => tq.insert(new Sliced(0, n), { parallel }))
        const seconds = (performance.now() - startMs) / 1000
        countMany((await destinations.arrived()).tasks)
        return { seconds, ...(mainShare !== undefined && { mainShare }) }
      },
      close: () => destinations.close(),
    }
  },
  // Enough for each thread to have loaded the tasks and warmed up.
  { warmUp: 60_000 },
)
