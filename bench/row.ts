/** The parts of a row of the bench. Types only. */

/** The parts that `--scope` names. */
export type Scope = 'local' | 'fq' | 'sqs' | 'postgres' | 'redis' | 'slices' | 'packs' | 'latency' | 'commands'

/** One piece of work, done by rivals in turn. */
export interface Row {
  readonly scope: Scope
  /** The work, as the table shows it. */
  readonly title: string
  /** The number of tasks, unless `--n` is given. */
  readonly n: number
  /** Takes minutes and gigabytes: left out unless `--large`, and run once unless `--rounds`. Default false. */
  readonly large?: boolean
  /** Its cases write files: the table names the directory. Default false. */
  readonly files?: boolean
  /** All contenders; the first one is ptq. */
  readonly contenders: readonly Contender[]
  readonly targets: readonly Target[]
}

/** A program that does a row's work, in a process of its own for each round. */
export interface Contender {
  readonly name: string
  /** The program, relative to `bench/`: a case (`local/noop-loop.js`), or a Python script (`python/local.py`). */
  readonly program: string
  /** An npm package that it needs: left out where `npm run bench:rivals` has not installed it. */
  readonly package?: string
  /** Parameters of the program besides `n` and `dir`. */
  readonly settings?: Readonly<Record<string, string | number>>
  /** A slow rival does this part of the tasks; rates stay comparable. Default 1. */
  readonly share?: number
}

/** The parameters of a program: as JSON in its first argument. */
export interface CaseParameters {
  /** The number of tasks to measure. */
  readonly n: number
  /** A new empty directory, removed afterwards. */
  readonly dir: string
  readonly settings: Readonly<Record<string, string | number>>
}

/** The report of a program: as JSON in its last line on stdout, without warm-up and start. */
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

/** A target of the project; its source is named in the docs and in the row's title. */
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
