// The floor of one thread: the same tasks, created and executed in a plain loop.
import { partial } from 'ptq'
import { runCase } from '../case.js'
import { noop } from './tasks.js'

await runCase(
  () => ({
    run(n) {
      for (let index = 0; index < n; index++) partial(noop, index).execute()
    },
  }),
  { warmUp: 20_000 },
)
