/** Results of a run that wait to be read. */
import type { TaskError } from '../errors/errors.js'
import type { TaskResult } from '../tasks/task.js'

/** The result of one task. */
export type Result<T> =
  | { readonly ok: true; readonly task: T; readonly value: TaskResult<T> }
  | { readonly ok: false; readonly task: T; readonly error: TaskError<T> }

/**
 * The run pulls no more tasks while this number of results wait to be read; results of running tasks are added to
 * these.
 */
const roomFor = 1024

/** Takes results in any order, and yields them in the order of arrival or of their tasks. */
export class ResultBuffer<R> {
  readonly #ordered: boolean
  /** Ready to be read. */
  readonly #ready: { readonly result: R }[] = []
  /** Ordered only: those whose turn has not come. */
  readonly #early = new Map<number, R>()
  #turn = 0
  #ended: { readonly thrown: unknown } | undefined
  #wake: (() => void) | undefined

  constructor(ordered: boolean) {
    this.#ordered = ordered
  }

  /** True if more tasks should be pulled. */
  get hasRoom(): boolean {
    return this.#ready.length + this.#early.size < roomFor
  }

  /** @param ordinal the place of the task, from 0 */
  put(ordinal: number, result: R): void {
    if (this.#ordered) {
      this.#early.set(ordinal, result)
      for (let next = this.#early.get(this.#turn); next !== undefined; next = this.#early.get(this.#turn)) {
        this.#early.delete(this.#turn++)
        this.#ready.push({ result: next })
      }
    } else {
      this.#ready.push({ result })
    }
    this.#wakeUp()
  }

  /** No more will come. `thrown` is thrown to the reader after what is ready was read. */
  end(thrown: unknown): void {
    this.#ended = { thrown }
    // A run that was stopped leaves gaps: results behind a gap are still given.
    for (const ordinal of [...this.#early.keys()].sort((a, b) => a - b)) {
      const result = this.#early.get(ordinal)
      if (result !== undefined) this.#ready.push({ result })
    }
    this.#early.clear()
    this.#wakeUp()
  }

  /** The next result; `undefined` when all were read. */
  async next(): Promise<{ readonly result: R } | undefined> {
    while (this.#ready.length === 0) {
      if (this.#ended !== undefined) {
        if (this.#ended.thrown !== undefined) throw this.#ended.thrown
        return undefined
      }
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    return this.#ready.shift()
  }

  #wakeUp(): void {
    this.#wake?.()
    this.#wake = undefined
  }
}
