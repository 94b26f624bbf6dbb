/** Tasks of the tests of PostgreSQL, for `ptq poll --load` too. */
import { queueable } from 'ptq'

/** How often each task ran in this process. */
export const runs = new Map<number, number>()

export const count = queueable(
  async function count(index: number) {
    runs.set(index, (runs.get(index) ?? 0) + 1)
  },
  { module: 'postgres-tasks' },
)

export const fail = queueable(
  function fail() {
    throw new RangeError('always')
  },
  { module: 'postgres-tasks' },
)
