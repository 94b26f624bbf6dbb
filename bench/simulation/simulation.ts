/** What is simulated, and what is found. Types only. */

export interface Scenario {
  readonly workers: number
  /** In the queue at the start. */
  readonly queued: number
  /** The simulation ends when so many have run: all of them, or enough to know the rates. */
  readonly tasks: number
  /** The mean; 0: the task does nothing. */
  readonly taskSeconds: number
  /** The mean of one request. */
  readonly latencyMs: number
  /** What the metadata server can do; `null`: whatever is asked of it. */
  readonly requestsPerSecond: number | null
  /** Calls that a worker has in flight at most: `UV_THREADPOOL_SIZE`. */
  readonly threads: number
  readonly seed: number
}

export interface Finding extends Scenario {
  /** Virtual seconds until `tasks` had run, from the start of the first worker. */
  readonly seconds: number
  readonly tasksPerSecond: number
  /** Renames in `queue/` that found nothing, for each task. */
  readonly lostPerLease: number
  /** Requests to the server for each task, all of them. */
  readonly requestsPerTask: number
  /** Of those: for what workers write about themselves. */
  readonly statusPerTask: number
  readonly namesPerTask: number
  readonly requestsPerSecondMean: number
  readonly requestsPerSecondPeak: number
  /** Calls for each task, by kind. */
  readonly callsPerTask: Readonly<Record<string, number>>
  /** What all workers together ask of the server in a second while the queue is empty. */
  readonly idleRequestsPerSecond: number
  /** What the simulation itself took. */
  readonly realSeconds: number
  readonly peakMb: number
}
