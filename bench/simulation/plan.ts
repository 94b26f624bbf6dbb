/** Which scenarios are simulated. */
import type { Scenario } from './simulation.js'

/** The parameters that may be named on the command line; each combination is simulated. */
export interface Grid {
  readonly workers: readonly number[]
  readonly taskSeconds: readonly number[]
  readonly latencyMs: readonly number[]
  readonly requestsPerSecond: readonly (number | null)[]
  readonly queued: number
  readonly pack: readonly number[]
  /**
   * Only this number for each worker is simulated: a worker takes months for a million, and rates soon stay the same.
   */
  readonly tasksPerWorker: number
  readonly threads: number
  readonly seed: number
}

/** Fewer give no stable rates. */
const FEWEST_TASKS = 2_000

// Tasks of zero duration are leased by the thousand: a few for each worker would run before most of the first lease
// request is done.
const SHORT_TASKS = 100

export function scenariosOf(grid: Grid): Scenario[] {
  return grid.pack.flatMap(pack => scenariosOfPack(grid, pack))
}

function scenariosOfPack(grid: Grid, pack: number): Scenario[] {
  const { queued, tasksPerWorker, threads, seed } = grid
  return grid.latencyMs.flatMap(latencyMs =>
    grid.taskSeconds.flatMap(taskSeconds =>
      grid.requestsPerSecond.flatMap(requestsPerSecond =>
        grid.workers.map(workers => ({
          workers,
          queued,
          pack,
          tasks: Math.min(
            queued,
            Math.max(FEWEST_TASKS, workers * tasksPerWorker * (taskSeconds === 0 ? SHORT_TASKS : 1)),
          ),
          taskSeconds,
          latencyMs,
          requestsPerSecond,
          threads,
          seed,
        })),
      ),
    ),
  )
}
