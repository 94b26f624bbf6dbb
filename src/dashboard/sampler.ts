/** Reads the numbers of a queue at intervals, once for all open pages. */
import { nameAndMessageOf } from '../errors/thrown.js'
import type { TaskQueue, WorkerStatus } from '../index.js'
import { goneFrom, type Overview, readOverview, readWorkers } from '../overview/overview.js'
import { RateMeter } from '../overview/rate-meter.js'
import { printable } from '../text/printable.js'
import { CountHistory, type Point } from './count-history.js'

/** Without an open page the numbers are read less often: for the history, and for `/metrics`. */
const idleSeconds = 10

/** A queue that takes long to read is read less often: at most this part of the time. */
const maxShare = 0.1

/** The numbers of a queue at a moment. */
export interface Sample {
  readonly atMs: number
  /** `undefined` where the queue does not exist or can't be read. */
  readonly overview: Overview | undefined
  /** `undefined` where the queue can't hold what its workers do. */
  readonly workers: readonly WorkerStatus[] | undefined
  /** Over the last minute; `undefined` until there are two samples. */
  readonly tasksPerSecond: number | undefined
  /** Why there are no numbers: one line. */
  readonly problem: string | undefined
  readonly isMissing: boolean
}

export class Sampler {
  readonly queue: TaskQueue
  readonly deadLetter: string | undefined
  readonly #intervalSeconds: number
  readonly #history = new CountHistory()
  readonly #listeners = new Set<(sample: Sample, point: Point) => void>()
  #rate = new RateMeter()
  #last: Sample | undefined
  #timer: NodeJS.Timeout | undefined
  #reading: Promise<void> | undefined
  #dueMs = 0
  #isClosed = false

  constructor(queue: TaskQueue, options: { deadLetter: string | undefined; intervalSeconds: number }) {
    this.queue = queue
    this.deadLetter = options.deadLetter
    this.#intervalSeconds = options.intervalSeconds
    this.#read()
  }

  /** Where the dead letters are, for verbs of the queue. */
  get place(): { deadLetter?: string } {
    return this.deadLetter === undefined ? {} : { deadLetter: this.deadLetter }
  }

  /** The last sample; `undefined` before the first. */
  get last(): Sample | undefined {
    return this.#last
  }

  get points(): readonly Point[] {
    return this.#history.points
  }

  /** Calls `listener` at each sample; reads more often while there is one. @returns what ends that */
  listen(listener: (sample: Sample, point: Point) => void): () => void {
    this.#listeners.add(listener)
    if (this.#listeners.size === 1) this.#schedule()
    return () => this.#listeners.delete(listener)
  }

  /** Reads soon: something was changed. */
  refresh(): void {
    this.#dueMs = 0
    this.#schedule()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await this.#reading
  }

  #read(): void {
    const startMs = performance.now()
    this.#reading = this.#sample().then(sample => {
      this.#reading = undefined
      if (this.#isClosed) return
      const endMs = performance.now()
      this.#dueMs = endMs + Math.max(this.#intervalSeconds * 1000, (endMs - startMs) / maxShare)
      this.#schedule()
      this.#last = sample
      const point = pointOf(sample)
      this.#history.add(point)
      for (const listener of this.#listeners) listener(sample, point)
    })
  }

  #schedule(): void {
    if (this.#isClosed || this.#reading !== undefined) return
    clearTimeout(this.#timer)
    const extraMs = this.#listeners.size > 0 ? 0 : Math.max(0, idleSeconds - this.#intervalSeconds) * 1000
    this.#timer = setTimeout(() => this.#read(), Math.max(0, this.#dueMs + extraMs - performance.now()))
    // Someone else's server may end.
    this.#timer.unref()
  }

  async #sample(): Promise<Sample> {
    const atMs = Date.now()
    try {
      const overview = await readOverview(this.queue, this.place)
      const workers = await readWorkers(this.queue)
      const tasksPerSecond = this.#rate.add(overview, performance.now())?.tasksPerSecond
      return { atMs, overview, workers, tasksPerSecond, problem: undefined, isMissing: false }
    } catch (error) {
      this.#rate = new RateMeter()
      const isMissing = await this.#isMissing()
      const problem = isMissing ? `There is no queue at ${this.queue.url} (yet)` : printable(nameAndMessageOf(error))
      return { atMs, overview: undefined, workers: undefined, tasksPerSecond: undefined, problem, isMissing }
    }
  }

  async #isMissing(): Promise<boolean> {
    try {
      return !(await this.queue.exists())
    } catch {
      // The error of the reading itself is told.
      return false
    }
  }
}

function pointOf({ atMs, overview }: Sample): Point {
  if (overview === undefined) return [atMs, null, null, null, null]
  const { enqueued, leased, delayed, failed } = overview
  const gone = goneFrom(overview)
  return [atMs, known(enqueued - leased - delayed), known(leased), known(gone), known(failed)]
}

function known(value: number): number | null {
  return Number.isNaN(value) ? null : value
}
