/** Counts the results of a bulk insert and builds its error. */

import { type FailedSlice, InsertError } from '../errors/errors.js'
import { errorsOf, messageOf } from '../errors/thrown.js'
import { type Range, shownRange, sizeOf } from '../tasks/ranges.js'
import { counted } from '../text/counted.js'

const tasksWere = ['task was', 'tasks were'] as const

export class BulkInsertReport {
  /** Stored by this call. */
  inserted = 0
  #failed = 0
  readonly #failedSlices: FailedSlice[] = []
  /** Errors other than those of slices. */
  readonly #errors: unknown[] = []

  /** True if no error was recorded. */
  get isComplete(): boolean {
    return this.#errors.length === 0 && this.#failedSlices.length === 0
  }

  /**
   * Records tasks that are not stored.
   *
   * @param isKnown false: they may be stored nevertheless
   */
  fail(range: Range, cause: unknown, isKnown: boolean): void {
    const reason = messageOf(errorsOf(cause)?.[0] ?? cause)
    const what = isKnown ? 'not inserted' : 'it is not known whether they were inserted'
    const error = new Error(`${shownRange(range)}, from 0: ${what}: ${reason}`, { cause })
    this.#failed += sizeOf([range])
    this.#failedSlices.push({ start: range.start, end: range.end, error })
  }

  /** Records another error. @param failed number of tasks that were not stored because of it */
  add(error: unknown, failed = 0): void {
    this.#errors.push(error)
    this.#failed += failed
  }

  /**
   * Returns the error, if any was recorded.
   *
   * @param options.missing number of tasks to insert; `undefined` if unknown
   * @param options.resume the insert's name
   */
  failure(options: {
    label: string
    missing: number | undefined
    resume: string | undefined
  }): InsertError | undefined {
    if (this.isComplete) return undefined
    const { label, missing, resume } = options
    const { inserted } = this
    const failed = this.#failed
    const notTried = missing === undefined ? undefined : Math.max(0, missing - inserted - failed)
    const errors = [...this.#failedSlices.map(({ error }) => error), ...this.#errors]
    const [first] = errors
    return new InsertError(
      `${missing === undefined ? counted(inserted, ...tasksWere) : `${inserted} of ${counted(missing, ...tasksWere)}`} inserted into ${label}, ` +
        `${failed} failed, ${notTried ?? 'an unknown number'} not tried: ${messageOf(first)}` +
        (resume === undefined ? '' : ` (the same insert with resume: '${resume}' goes on)`),
      {
        inserted,
        failed,
        notTried,
        failedSlices: this.#failedSlices,
        cause: errors.length === 1 ? first : new AggregateError(errors, `${errors.length} errors`),
      },
    )
  }
}
