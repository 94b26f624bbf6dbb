/** Parameters and results of a simulation. Types only. */

export interface Scenario {
  readonly workers: number
  /** In the queue at the start. */
  readonly queued: number
  /** Tasks of a message. */
  readonly pack: number
  /** The simulation ends after this number of tasks: all of them, or enough for stable rates. */
  readonly tasks: number
  /** The mean; 0: the task does nothing. */
  readonly taskSeconds: number
  /** The mean of one request. */
  readonly latencyMs: number
  /** The limit of the metadata server; `null`: none. */
  readonly requestsPerSecond: number | null
  /** Maximum number of a worker's calls in flight: `UV_THREADPOOL_SIZE`. */
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
  /** Of those: for the workers' status files. */
  readonly statusPerTask: number
  readonly namesPerTask: number
  readonly requestsPerSecondMean: number
  readonly requestsPerSecondPeak: number
  /** Calls for each task, by kind. */
  readonly callsPerTask: Readonly<Record<string, number>>
  /** Requests per second of all workers together while the queue is empty. */
  readonly idleRequestsPerSecond: number
  /** Duration of the simulation itself. */
  readonly realSeconds: number
  readonly peakMb: number
}
