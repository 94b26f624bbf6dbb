/** A sequence of one task for each number: a loop of inserts, without a class of one's own. */

import { argumentError } from '../errors/errors.js'
import { type BoundFunction, boundFunction, callWith } from './bound-function.js'
import { type Sliceable, sliceable } from './sliceable.js'
import type { FunctionTask } from './task.js'

/** One task for each integer of `[start, end)`; made by {@link range}. */
export class TaskRange<R = unknown> implements Sliceable<FunctionTask<[], R>> {
  // All fields are public, since structured clone takes only those.
  readonly fn: BoundFunction
  readonly start: number
  readonly end: number

  constructor(fn: BoundFunction, start: number, end: number) {
    this.fn = fn
    this.start = start
    this.end = end
  }

  get length(): number {
    return this.end - this.start
  }

  slice(start: number, end: number): TaskRange<R> {
    return new TaskRange(this.fn, this.start + start, this.start + end)
  }

  /** Makes the tasks of this part. */
  *[Symbol.iterator](): Generator<FunctionTask<[], R>, void, undefined> {
    for (let i = this.start; i < this.end; i++) yield callWith(this.fn, i)
  }
}

sliceable(TaskRange, { name: 'ptq.TaskRange', url: import.meta.url })

/**
 * One task for each integer of `[start, end)`: `partial(fn, start)` to `partial(fn, end - 1)`.
 *
 * ```ts
 * await tq.insert(range(printNumber, 0, 1_000_000), { parallel: 4 })
 * ```
 *
 * @param fn a function that `queueable` registered and that takes a number; or `partial(fn, …)` that lacks only that
 * @throws TypeError unless `start` and `end` are integers, `start` not above `end`; UnregisteredTaskError for another function
 */
export function range<R>(fn: ((i: number) => R) | FunctionTask<[number], R>, start: number, end: number): TaskRange<R> {
  if (!Number.isSafeInteger(start)) throw argumentError('start', 'an integer', start)
  if (!Number.isSafeInteger(end) || end < start) throw argumentError('end', `an integer of ${start} or more`, end)
  const bound = boundFunction(fn)
  // Refuses arguments that JSON can't carry, and a function that needs more of them, here and not in a thread.
  callWith(bound, start).payload()
  return new TaskRange(bound, start, end)
}
