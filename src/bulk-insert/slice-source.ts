/** Produces the slices of an insert: ranges of a sliceable sequence, or blocks of any other iterable. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { messageOf } from '../errors/thrown.js'
import { payloadText } from '../queue/insert.js'
import type { TaskInput } from '../tasks/task.js'
import type { TaskSource } from '../tasks/task-source.js'
import { cut, type Range, without } from './ranges.js'

/** A part of an insert. */
export interface Slice extends Range {
  /** The payloads as JSON if the tasks are made here; `undefined`: they are sliced from the sequence. */
  readonly texts: readonly string[] | undefined
}

export interface SliceSource {
  /** The next slice; `undefined`: there are no more. One call at a time waits for the tasks. */
  next(): Promise<Slice | undefined>
  /** Gives no more slices. */
  stop(): Promise<void>
  /** The error that ended it early. */
  readonly error: SourceError | undefined
}

/** The error that the tasks' source threw, or why a task can't be inserted: `failed` is then 1. */
export interface SourceError {
  readonly thrown: unknown
  readonly failed: number
}

/**
 * Small enough to keep threads even, to lose little when one dies, and to hold little in memory; big enough to cost nothing.
 * Measured with a million tasks: 10,000 took 50 MB more than 4,000, and no less time.
 */
const slicesPerThread = 16
const maxSliceTasks = 4_000

/** A block has fewer tasks, since all of it is in memory; and not many more characters than this. */
const maxBlockTasks = 2000
const maxBlockChars = 4 * 2 ** 20

/** The longest time that making payloads may keep other work of the process waiting, in milliseconds. */
const maxTurnMs = 8

/** Tasks of a slice: at most a sixteenth of a thread's share, and at most `max`. */
function sliceTasks(total: number, threads: number, max: number): number {
  return Math.max(1, Math.min(Math.ceil(total / (Math.max(1, threads) * slicesPerThread)), max))
}

/** The slices of a sequence of `total` tasks, without those that are stored. */
export class SequenceSource implements SliceSource {
  readonly error = undefined
  readonly #ranges: Generator<Range, void, undefined>

  constructor(total: number, stored: readonly Range[], threads: number) {
    const left = without({ start: 0, end: total }, stored)
    this.#ranges = cut(left, sliceTasks(total, threads, maxSliceTasks))
  }

  async next(): Promise<Slice | undefined> {
    const { value } = this.#ranges.next()
    return value === undefined ? undefined : { ...value, texts: undefined }
  }

  async stop(): Promise<void> {
    this.#ranges.return()
  }
}

/** Blocks of an iterable. One block is made ahead, so that no thread waits for it. */
export class BlockSource implements SliceSource {
  readonly #tasks: TaskSource
  /** Ranges that are stored and still to come. */
  readonly #stored: Range[]
  readonly #blockTasks: number
  /** Taken from the source, and in no block yet. */
  #taken: TaskInput[] = []
  #next = 0
  #prefetched: Promise<Slice | undefined> | undefined
  #error: SourceError | undefined
  #stopped = false
  #turnStartMs = performance.now()

  /** @param total how many tasks will come, if that is known */
  constructor(tasks: TaskSource, total: number | undefined, stored: readonly Range[], threads: number) {
    this.#tasks = tasks
    this.#stored = [...stored]
    this.#blockTasks = total === undefined ? maxBlockTasks : sliceTasks(total, threads, maxBlockTasks)
  }

  get error(): SourceError | undefined {
    const { error } = this.#tasks
    return this.#error ?? (error === undefined ? undefined : { thrown: error.thrown, failed: 0 })
  }

  async next(): Promise<Slice | undefined> {
    const block = this.#prefetched ?? this.#make()
    const ahead = block.then(made => (made === undefined ? undefined : this.#make()))
    this.#prefetched = ahead
    const made = await block
    return this.#stopped ? undefined : made
  }

  async stop(): Promise<void> {
    this.#stopped = true
    // In a later turn: the source itself may have closed the queue while it yields a task.
    await nextTurn()
    await this.#tasks.stop()
  }

  /** Never rejects. */
  async #make(): Promise<Slice | undefined> {
    const texts: string[] = []
    let chars = 0
    let start = this.#next
    while (texts.length < this.#blockTasks && chars < maxBlockChars && this.#error === undefined) {
      if (performance.now() - this.#turnStartMs > maxTurnMs) await this.#yieldTurn()
      if (this.#taken.length === 0) this.#taken = this.#tasks.take(this.#blockTasks - texts.length).reverse()
      const task = this.#taken.pop()
      if (task === undefined) {
        // If the source has to be awaited, the tasks it gave so far are sent first.
        if (this.#tasks.ended || texts.length > 0) break
        await this.#tasks.ready()
        continue
      }
      if (this.#isStored(this.#next)) {
        // A block has neighbouring indices.
        if (texts.length > 0) {
          this.#taken.push(task)
          break
        }
        this.#next++
        start = this.#next
        continue
      }
      const text = this.#textOf(task)
      if (text === undefined) break
      this.#next++
      texts.push(text)
      chars += text.length
    }
    return texts.length === 0 ? undefined : { start, end: start + texts.length, texts }
  }

  #textOf(task: TaskInput): string | undefined {
    try {
      return payloadText(task)
    } catch (cause) {
      const reason = messageOf(cause)
      const message = `Task ${this.#next} of this insert, from 0, can't be inserted: ${reason}`
      this.#error = { thrown: new TypeError(message, { cause }), failed: 1 }
      return undefined
    }
  }

  #isStored(index: number): boolean {
    while (this.#stored[0] !== undefined && this.#stored[0].end <= index) this.#stored.shift()
    return this.#stored[0] !== undefined && this.#stored[0].start <= index
  }

  async #yieldTurn(): Promise<void> {
    await nextTurn()
    this.#turnStartMs = performance.now()
  }
}
