// The bare tool: `piscina.run` for each task, which is how its documentation shows it.
import { join } from 'node:path'
import { Piscina } from 'piscina'
import { numberOf, runCase } from '../case.js'

/** Calls in flight. Measured: 16, 64 and 256 are equal, 1,024 is a tenth slower. */
const IN_FLIGHT = 64

await runCase(
  parameters => {
    const threads = numberOf(parameters, 'parallel')
    const filename = join(import.meta.dirname, 'piscina-worker.js')
    const pool = new Piscina({ filename, minThreads: threads, maxThreads: threads })
    return {
      async run(n) {
        let next = 0
        const loop = async () => {
          while (next < n) await pool.run(next++, { name: 'one' })
        }
        await Promise.all(Array.from({ length: IN_FLIGHT }, loop))
      },
      close: () => pool.destroy(),
    }
  },
  { warmUp: 20_000 },
)
