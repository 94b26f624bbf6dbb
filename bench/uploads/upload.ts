// One of the seven ways to fill a queue.
import { numberOf, runCase, textOf } from '../case.js'
import { countMany } from '../counter.js'
import { openDestinations } from './destination.js'
import { WAYS } from './ways.js'

await runCase(
  async parameters => {
    const way = WAYS[numberOf(parameters, 'way') - 1]
    if (way === undefined) throw new Error(`Expected one of ${WAYS.length} ways`)
    const destinations = await openDestinations(textOf(parameters, 'queue'), parameters.dir)
    return {
      async run(n) {
        const destination = await destinations.next()
        const startMs = performance.now()
        await way.fill(destination, n)
        const seconds = (performance.now() - startMs) / 1000
        const { tasks, firstAtMs, numbers } = await destinations.arrived()
        const wrong = numbers?.findIndex((number, index) => number !== index) ?? -1
        if (wrong >= 0) throw new Error(`Expected each task once, but ${wrong} is missing or there twice`)
        countMany(tasks)
        return { seconds, firstMs: firstAtMs - performance.timeOrigin - startMs }
      },
      close: () => destinations.close(),
    }
  },
  { warmUp: 2_000 },
)
