/** What a row of the bench is. Types only. */

/** The parts that `--scope` names. */
export type Scope = 'local' | 'fq' | 'sqs' | 'slices' | 'latency'

/** One piece of work, done by rivals in turn. */
export interface Row {
  readonly scope: Scope
  /** What is done, for the table. */
  readonly title: string
  /** How many tasks, unless `--n` says otherwise. */
  readonly n: number
  /** Takes minutes and gigabytes: left out, and done once, unless `--large` and `--rounds` say otherwise. Default false. */
  readonly large?: boolean
  /** Its cases write files: the table says where. Default false. */
  readonly files?: boolean
  /** Whoever does it; the first one is ours. */
  readonly contenders: readonly Contender[]
  readonly targets: readonly Target[]
}

/** Someone who does a row's work, in a process of its own for each round. */
export interface Contender {
  readonly name: string
  /** The program, relative to `bench/`: a case (`local/noop-loop.js`), or a Python script (`python/local.py`). */
  readonly program: string
  /** What the program is told besides `n` and `dir`. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** A slow rival does this part of the tasks; rates stay comparable. Default 1. */
  readonly share?: number
}

/** What a program is told: as JSON in its first argument. */
export interface CaseParameters {
  /** How many tasks to measure. */
  readonly n: number
  /** A directory of its own, empty, removed afterwards. */
  readonly dir: string
  readonly settings: Readonly<Record<string, string | number>>
}

/** What a program tells: as JSON in its last line on stdout. Warm-up and start are not in it. */
export interface Measurement {
  /** Tasks done, as counted by the tasks themselves. */
  readonly tasks: number
  readonly seconds: number
  /** User and system time of the process with all its threads, and of those that it started for the work. */
  readonly cpuSeconds: number
  /** Resident memory before the measured work, and the most of it. MB. */
  readonly rssBeforeMb: number
  readonly rssPeakMb: number
  /** Half of the tasks waited no longer than this, and all but one in a hundred no longer than that. Rows of latency only. */
  readonly p50Ms?: number
  readonly p99Ms?: number
  /** The part of all renames for a lease that another worker was faster with. Rows of several workers only. */
  readonly lostRenames?: number
  /** From the beginning to the first task in the queue. Rows of uploads only. */
  readonly firstMs?: number
  /** The main thread's part of the CPU time, from 0 to 1. Rows of slices only, on Linux. */
  readonly mainShare?: number
  /** Requests to the server for all tasks together. Rows of workers on SQS only. */
  readonly requests?: number
}

/** What the project promises; where its number comes from stands in docs and in the row's title. */
export type Target =
  /** A contender's tasks/s are at least so many times those of another. Default: the first contender's. */
  | { readonly kind: 'times'; readonly contender?: string; readonly rival: string; readonly atLeast: number }
  | { readonly kind: 'tasksPerSecond'; readonly atLeast: number }
  /** The rival's CPU time for a task is at least so many times that of the first contender. */
  | { readonly kind: 'cpuTimes'; readonly rival: string; readonly atLeast: number }
  /** CPU time of the first contender for a task. */
  | { readonly kind: 'cpuMicros'; readonly atMost: number }
  /** Default: the first contender's. */
  | { readonly kind: 'requestsPerTask'; readonly contender?: string; readonly atMost: number }
  | { readonly kind: 'rssGrowthMb'; readonly under: number }
  | { readonly kind: 'rssPeakMb'; readonly under: number }
  | { readonly kind: 'seconds'; readonly atMost: number }
  /** Of the contender that lost most. */
  | { readonly kind: 'lostRenames'; readonly under: number }
  /** Of the first contender. */
  | { readonly kind: 'mainShare'; readonly under: number }
