// CPU-bound tasks in a plain loop: what one thread can do.
import { runCase } from '../case.js'
import { spin } from './tasks.js'

await runCase(
  () => ({
    run(n) {
      for (let index = 0; index < n; index++) spin(index)
    },
  }),
  { warmUp: 40 },
)
