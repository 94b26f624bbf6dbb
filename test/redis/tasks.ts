/** Tasks of the tests, run in the calling thread. */
import { queueable } from 'ptq'

/** How often each task ran. */
export const runs = new Map<number, number>()

export const run = queueable(
  function run(n: number) {
    runs.set(n, (runs.get(n) ?? 0) + 1)
  },
  { module: 'redis-tests' },
)
