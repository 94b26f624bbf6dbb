/** What has become of the tasks of an upload, and the error that says so. */

import { type FailedSlice, InsertError } from '../errors/errors.js'
import { errorsOf, messageOf } from '../errors/thrown.js'
import { counted } from '../text/counted.js'
import { type Range, shownRange, sizeOf } from './ranges.js'

const tasksWere = ['task was', 'tasks were'] as const

export class BulkInsertReport {
  /** Stored by this call. */
  inserted = 0
  #failed = 0
  readonly #failedSlices: FailedSlice[] = []
  /** What went wrong besides slices. */
  readonly #errors: unknown[] = []

  /** Nothing went wrong. */
  get isComplete(): boolean {
    return this.#errors.length === 0 && this.#failedSlices.length === 0
  }

  /**
   * Notes tasks that are not stored.
   *
   * @param isKnown false: they may be stored all the same
   */
  fail(range: Range, cause: unknown, isKnown: boolean): void {
    const reason = messageOf(errorsOf(cause)?.[0] ?? cause)
    const what = isKnown ? 'not inserted' : 'it is not known whether they were inserted'
    const error = new Error(`${shownRange(range)}, from 0: ${what}: ${reason}`, { cause })
    this.#failed += sizeOf([range])
    this.#failedSlices.push({ start: range.start, end: range.end, error })
  }

  /** Notes what else went wrong. @param failed how many tasks were not stored for it */
  add(error: unknown, failed = 0): void {
    this.#errors.push(error)
    this.#failed += failed
  }

  /**
   * The error, if anything went wrong.
   *
   * @param options.missing how many tasks had to be inserted; `undefined` where nobody knows
   * @param options.resume the upload's name
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
