/** Tasks and sequences of the upload tests, in a module that threads import. */
import { appendFileSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { partial, queueable, sliceable } from 'ptq'

export const numbered = queueable(function numbered(i: number) {
  return i
})

/** Number of tasks that sequences made in this thread. */
export const made = { tasks: 0 }

/** Tasks `numbered(start)` to `numbered(end - 1)`. */
export class Numbers {
  constructor(
    readonly start: number,
    readonly end: number,
  ) {
    // Threads rebuild sequences without the constructor; `slice` may call it, in the main thread only.
    if (!isMainThread) throw new Error('The constructor was called in a thread')
  }

  get length(): number {
    return this.end - this.start
  }

  slice(start: number, end: number): Numbers {
    return Object.assign(Object.create(Numbers.prototype) as Numbers, {
      start: this.start + start,
      end: this.start + end,
    })
  }

  *[Symbol.iterator]() {
    for (let i = this.start; i < this.end; i++) {
      made.tasks++
      yield partial(numbered, i)
    }
  }
}
sliceable(Numbers)

/** The fault of a {@link FaultyNumbers} sequence. */
export interface NumberFaults {
  /** Index of a task whose creation throws, until the file `repairedBy` exists. */
  readonly throwsAt?: number
  readonly repairedBy?: string
  /** Ends the thread when this task is made; with `once`, a folder, only the first time. */
  readonly diesAt?: number
  readonly once?: string
  /** Its slices give so many tasks too many (or, below 0, too few). */
  readonly excess?: number
  /** A folder in which each task made leaves a line. */
  readonly log?: string
}

/** The same tasks, with faults. */
export class FaultyNumbers {
  constructor(
    readonly length: number,
    readonly faults: NumberFaults,
    readonly start = 0,
  ) {}

  slice(start: number, end: number): FaultyNumbers {
    return new FaultyNumbers(end - start + (this.faults.excess ?? 0), this.faults, this.start + start)
  }

  *[Symbol.iterator]() {
    const { throwsAt, repairedBy = '', diesAt, once, log } = this.faults
    for (let i = this.start; i < this.start + this.length; i++) {
      if (i === throwsAt && !existsSync(repairedBy)) throw new RangeError(`no task ${i}`)
      if (i === diesAt && (once === undefined || !existsSync(join(once, 'died')))) {
        if (once !== undefined) writeFileSync(join(once, 'died'), '')
        process.exit(3)
      }
      if (log !== undefined) appendFileSync(log, `${i}\n`)
      yield partial(numbered, i)
    }
  }
}
sliceable(FaultyNumbers)

/** The tasks come later, one by one. */
export class LaterNumbers {
  constructor(
    readonly start: number,
    readonly end: number,
  ) {}

  get length(): number {
    return this.end - this.start
  }

  slice(start: number, end: number): LaterNumbers {
    return new LaterNumbers(this.start + start, this.start + end)
  }

  *[Symbol.iterator](): Generator<never> {
    yield* []
    throw new Error('Expected the asynchronous iterator to be used')
  }

  async *[Symbol.asyncIterator]() {
    for (let i = this.start; i < this.end; i++) yield await Promise.resolve(partial(numbered, i))
  }
}
sliceable(LaterNumbers)

/** Threads can't rebuild it: what it is made of is private. */
export class Secretive {
  readonly #count: number

  constructor(count: number) {
    this.#count = count
  }

  get length(): number {
    return this.#count
  }

  slice(start: number, end: number): Secretive {
    return new Secretive(end - start)
  }

  *[Symbol.iterator]() {
    for (let i = 0; i < this.#count; i++) yield partial(numbered, i)
  }
}
sliceable(Secretive)
