// Tasks that wait, as many at once as both threads of the rival have, in plain asynchronous loops of one thread.
import { numberOf, runCase } from '../case.js'
import { wait } from './tasks.js'

await runCase(
  parameters => ({
    async run(n) {
      let next = 0
      const loop = async () => {
        while (next++ < n) await wait(numberOf(parameters, 'ms'))
      }
      await Promise.all(Array.from({ length: numberOf(parameters, 'atOnce') }, loop))
    },
  }),
  { warmUp: 1_000 },
)
