/** Pulls tasks from any iterable, only as fast as they are taken. */
// The global `performance` is a getter.
import { performance } from 'node:perf_hooks'
import { argumentError } from '../errors/errors.js'
import { isClassPayload, isFunctionPayload } from './payload.js'
import { isTask, type TaskInput } from './task.js'

/** Anything that yields tasks. */
export type TaskIterable<T extends TaskInput = TaskInput> = Iterable<T> | AsyncIterable<T>

/**
 * Maximum time of one pull, so that a slow generator neither blocks the event loop nor delays the first tasks of a
 * chunk until the last. Milliseconds.
 */
const pullBudgetMs = 5

/** Tasks that are pulled as they are needed. */
export interface PulledSource<T = TaskInput> {
  /** True if no further task will come. */
  readonly ended: boolean
  /** The error that ended it: what the source threw, or why a task of it can't be used; `failed` tasks were pulled in vain. */
  readonly error: { readonly thrown: unknown; readonly failed?: number } | undefined
  /** Up to `max` tasks that are there now. Empty: wait with {@link ready}, or the source has ended. */
  take(max: number): T[]
  /** Resolves when {@link take} may give something, or the source has ended. */
  ready(): Promise<void>
  /** Pulls no more. */
  stop(): Promise<void>
}

/** A source that is pulled in step with the consumer: a plain iterable when taken, an async one at most a chunk ahead. */
export class TaskSource<T = TaskInput> implements PulledSource<T> {
  readonly #sync: Iterator<T> | undefined
  readonly #async: AsyncIterator<T> | undefined
  /** Tasks that were pulled and not taken yet. */
  readonly #ahead: T[] = []
  #pulling = false
  /** Shared by all callers that wait. */
  #waiting: { readonly ready: Promise<void>; readonly wake: () => void } | undefined
  #ended = false
  #error: { readonly thrown: unknown } | undefined

  /** @throws TypeError if `tasks` can't be iterated */
  constructor(tasks: Iterable<T> | AsyncIterable<T>) {
    if (typeof tasks === 'object' && tasks !== null && Symbol.asyncIterator in tasks) {
      this.#async = tasks[Symbol.asyncIterator]()
    } else if (typeof tasks === 'object' && tasks !== null && Symbol.iterator in tasks) {
      this.#sync = tasks[Symbol.iterator]()
    } else {
      throw argumentError('tasks', 'an iterable or async iterable of tasks (for one task: [task])', tasks)
    }
  }

  /** True if no further task will come. */
  get ended(): boolean {
    return this.#ended && this.#ahead.length === 0
  }

  /** The error that the source itself threw; it has ended then. */
  get error(): { readonly thrown: unknown } | undefined {
    return this.#error
  }

  /** Up to `max` tasks that are there now. Empty: wait with {@link ready}, or the source has ended. */
  take(max: number): T[] {
    if (this.#sync !== undefined) {
      const peeked = this.#ahead.splice(0, max)
      return peeked.concat(this.#pullNow(this.#sync, max - peeked.length))
    }
    const taken = this.#ahead.splice(0, max)
    if (!this.#ended) void this.#pullAhead(max)
    return taken
  }

  peek(): void {
    if (this.#sync === undefined) void this.#pullAhead(1)
    else if (this.#ahead.length === 0) this.#ahead.push(...this.#pullNow(this.#sync, 1))
  }

  /** Resolves when {@link take} may give something, or the source has ended. */
  ready(): Promise<void> {
    if (this.#sync !== undefined || this.#ended || this.#ahead.length > 0) return Promise.resolve()
    if (this.#waiting === undefined) {
      let wake: (() => void) | undefined
      const ready = new Promise<void>(resolve => {
        wake = resolve
      })
      this.#waiting = { ready, wake: () => wake?.() }
    }
    return this.#waiting.ready
  }

  /** Pulls no more, and lets the source clean up (`finally` of a generator). What it throws then is its {@link error}. */
  async stop(): Promise<void> {
    const wasEnded = this.#ended
    this.#end()
    this.#ahead.length = 0
    if (wasEnded) return
    try {
      const returned = (this.#sync ?? this.#async)?.return?.()
      // An async generator that waits for its next task returns only after that one came, which may be never.
      if (this.#pulling) Promise.resolve(returned).catch((thrown: unknown) => this.#fail(thrown))
      else await returned
    } catch (thrown) {
      this.#fail(thrown)
    }
  }

  #pullNow(iterator: Iterator<T>, max: number): T[] {
    const taken: T[] = []
    const until = performance.now() + pullBudgetMs
    try {
      while (!this.#ended && taken.length < max) {
        const next = iterator.next()
        if (next.done === true) this.#end()
        else taken.push(next.value)
        if (performance.now() > until) break
      }
    } catch (thrown) {
      this.#fail(thrown)
    }
    return taken
  }

  async #pullAhead(count: number): Promise<void> {
    const iterator = this.#async
    if (this.#pulling || iterator === undefined) return
    this.#pulling = true
    let until = performance.now() + pullBudgetMs
    try {
      while (!this.#ended && this.#ahead.length < count) {
        const next = await iterator.next()
        if (this.#ended) break
        if (next.done === true) this.#end()
        else this.#ahead.push(next.value)
        if (performance.now() > until) {
          // A generator that computes rather than waits must not block the event loop.
          await new Promise(resolve => setImmediate(resolve))
          until = performance.now() + pullBudgetMs
        }
        // In a later turn of the event loop, so that what comes without waiting is taken in one go.
        if (this.#ahead.length === 1) setImmediate(() => this.#wakeUp())
      }
    } catch (thrown) {
      this.#fail(thrown)
    } finally {
      this.#pulling = false
      this.#wakeUp()
    }
  }

  #fail(thrown: unknown): void {
    this.#error ??= { thrown }
    this.#end()
  }

  #end(): void {
    this.#ended = true
    this.#wakeUp()
  }

  #wakeUp(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.wake()
  }
}

/** One task, or an iterable of them, as an iterable. */
export function iterableOf<T extends TaskInput>(tasks: TaskIterable<T> | T): TaskIterable<T> {
  const one = typeof tasks === 'function' || isTask(tasks) || isFunctionPayload(tasks) || isClassPayload(tasks)
  return one ? [tasks as T] : (tasks as TaskIterable<T>)
}

/** The number of items, where an iterable has it as `length` (arrays, sliceable sequences) or `size` (sets, maps). */
export function lengthOf(tasks: unknown): number | undefined {
  if (typeof tasks !== 'object' || tasks === null) return undefined
  const { length, size } = tasks as { length?: unknown; size?: unknown }
  const count = length ?? size
  return typeof count === 'number' && Number.isSafeInteger(count) && count >= 0 ? count : undefined
}

/** The number of items in several iterables, where each has one. */
export function totalLength(iterables: readonly unknown[]): number | undefined {
  let total = 0
  for (const iterable of iterables) {
    const length = lengthOf(iterable)
    if (length === undefined) return undefined
    total += length
  }
  return total
}

/** Several iterables as one. */
export async function* concatenated<T extends TaskInput>(iterables: readonly TaskIterable<T>[]): AsyncGenerator<T> {
  for (const iterable of iterables) yield* iterable
}
