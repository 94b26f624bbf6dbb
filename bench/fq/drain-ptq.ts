// Draining, in the calling thread. `queued`: so many tasks are there, of which n are drained.
import { runCase } from '../case.js'
import { drain, fill, openQueue } from './drain.js'

const WARM_UP = 5_000

await runCase(
  async ({ dir, n, settings }) => {
    const inserter = openQueue(dir)
    const { queued } = settings
    await fill(inserter, Math.max(n + WARM_UP, typeof queued === 'number' ? queued : 0))
    await inserter.close()
    const tq = openQueue(dir)
    const close = async () => {
      // A million files are removed name by name here; removing the folder would first list them all in memory.
      await tq.purge()
      await tq.close()
    }
    return { run: count => drain(tq, count), close }
  },
  { warmUp: WARM_UP },
)
