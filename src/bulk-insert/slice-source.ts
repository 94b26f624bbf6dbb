/** Produces the slices of an insert: ranges of a sliceable sequence, or blocks of any other iterable. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { messageOf } from '../errors/thrown.js'
import { payloadText, taskCount } from '../queue/payload-text.js'
import { cut, type Range, sizeOf, without } from '../tasks/ranges.js'
import { SlicePacks } from '../tasks/slice-packs.js'
import type { Sliceable } from '../tasks/sliceable.js'
import type { TaskInput } from '../tasks/task.js'
import type { PulledSource } from '../tasks/task-source.js'

/** A part of an insert: a range of its messages. */
export interface Slice extends Range {
  /** The payloads as JSON if the tasks are made here; `undefined`: they are sliced from the sequence. */
  readonly texts: readonly string[] | undefined
  /** Set where the messages are packs. */
  readonly packed?: {
    /** The index of the first task. */
    readonly firstTask: number
    /** The number of tasks of each message. */
    readonly counts: readonly number[]
  }
}

/** A part of a slice. */
export function partOf(slice: Slice, { start, end }: Range): Slice {
  const [from, to] = [start - slice.start, end - slice.start]
  const texts = slice.texts?.slice(from, to)
  if (slice.packed === undefined) return { start, end, texts }
  const { firstTask, counts } = slice.packed
  return {
    start,
    end,
    texts,
    packed: { firstTask: firstTask + sum(counts.slice(0, from)), counts: counts.slice(from, to) },
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0)
}

export interface SliceSource {
  /** The next slice; `undefined`: there are no more. One call at a time waits for the tasks. */
  next(): Promise<Slice | undefined>
  /** Gives no more slices. */
  stop(): Promise<void>
  /** The indices of the tasks of a part of a slice. */
  tasksOf(slice: Slice, part: Range): Range
  /** The number of tasks that were stored before, as far as the slices have come. */
  readonly storedTasks: number
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

/** The slices of a sequence, without those that are stored. */
export class SequenceSource implements SliceSource {
  readonly error = undefined
  readonly storedTasks: number
  readonly #sequence: Pick<Sliceable, 'length'>
  readonly #ranges: Generator<Range, void, undefined>

  constructor(sequence: Pick<Sliceable, 'length'>, stored: readonly Range[], threads: number) {
    const { length } = sequence
    const left = without({ start: 0, end: length }, stored)
    this.#sequence = sequence
    this.#ranges = cut(left, sliceTasks(length, threads, maxSliceTasks))
    this.storedTasks = sizeOf(stored.map(range => this.#tasksOf(range)))
  }

  tasksOf(_slice: Slice, part: Range): Range {
    return this.#tasksOf(part)
  }

  #tasksOf(range: Range): Range {
    return this.#sequence instanceof SlicePacks ? this.#sequence.tasksOf(range) : range
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
  readonly #tasks: PulledSource
  readonly #packed: boolean
  /** Ranges that are stored and still to come. */
  readonly #stored: Range[]
  readonly #blockTasks: number
  /** Taken from the source, and in no block yet. */
  #taken: TaskInput[] = []
  #next = 0
  /** The index of the next task, which is that of the next message where these are no packs. */
  #nextTask = 0
  #storedTasks = 0
  #prefetched: Promise<Slice | undefined> | undefined
  #error: SourceError | undefined
  #stopped = false
  #turnStartMs = performance.now()

  /**
   * @param total how many messages will come, about, if that is known
   * @param options.packed the messages are packs
   */
  constructor(
    tasks: PulledSource,
    total: number | undefined,
    stored: readonly Range[],
    threads: number,
    { packed = false } = {},
  ) {
    this.#tasks = tasks
    this.#packed = packed
    this.#stored = [...stored]
    this.#blockTasks = total === undefined ? maxBlockTasks : sliceTasks(total, threads, maxBlockTasks)
  }

  get error(): SourceError | undefined {
    const { error } = this.#tasks
    return this.#error ?? (error === undefined ? undefined : { thrown: error.thrown, failed: error.failed ?? 0 })
  }

  get storedTasks(): number {
    return this.#storedTasks
  }

  tasksOf(slice: Slice, part: Range): Range {
    const { packed } = partOf(slice, part)
    if (packed === undefined) return part
    return { start: packed.firstTask, end: packed.firstTask + sum(packed.counts) }
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
    const counts: number[] = []
    let chars = 0
    let start = this.#next
    let firstTask = this.#nextTask
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
        this.#storedTasks += taskCount(task)
        this.#advance(task)
        start = this.#next
        firstTask = this.#nextTask
        continue
      }
      const text = this.#textOf(task)
      if (text === undefined) break
      this.#advance(task)
      texts.push(text)
      counts.push(taskCount(task))
      chars += text.length
    }
    if (texts.length === 0) return undefined
    return { start, end: start + texts.length, texts, ...(this.#packed && { packed: { firstTask, counts } }) }
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

  #advance(task: TaskInput): void {
    this.#next++
    this.#nextTask += taskCount(task)
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
