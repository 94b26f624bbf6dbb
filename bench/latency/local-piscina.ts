// The same with Piscina alone: one call of `piscina.run`.
import { join } from 'node:path'
import { Piscina } from 'piscina'
import { runCase } from '../case.js'
import { measureWaits } from './waits.js'

await runCase(
  () => {
    const filename = join(import.meta.dirname, '../local/piscina-worker.js')
    const pool = new Piscina({ filename, minThreads: 1, maxThreads: 1 })
    return {
      run: n =>
        measureWaits(n, async () => {
          const startMs = performance.now()
          await pool.run(0, { name: 'one' })
          return performance.now() - startMs
        }),
      close: () => pool.destroy(),
    }
  },
  { warmUp: 50 },
)
