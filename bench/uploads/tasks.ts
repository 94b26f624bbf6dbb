/** The tasks of the uploads, in each form that a user may have. A module that threads import. */
import { partial, queueable, sliceable } from 'ptq'

/** Never run here. Its argument is what makes a million of them differ. */
export const work = queueable(function work(_index: number): void {
  throw new Error('Expected no worker to run the tasks of an upload')
})

/** As a generator. */
export function* generated(start: number, end: number) {
  for (let index = start; index < end; index++) yield partial(work, index)
}

/** As an iterator by hand. */
export class Iterated {
  readonly #end: number
  #next: number

  constructor(start: number, end: number) {
    this.#next = start
    this.#end = end
  }

  [Symbol.iterator]() {
    return this
  }

  next() {
    if (this.#next >= this.#end) return { done: true, value: undefined } as const
    return { done: false, value: partial(work, this.#next++) } as const
  }
}

/** As a sequence that the queue can cut. */
export class Sliced {
  constructor(
    readonly start: number,
    readonly end: number,
  ) {}

  get length(): number {
    return this.end - this.start
  }

  slice(start: number, end: number): Sliced {
    return new Sliced(this.start + start, this.start + end)
  }

  [Symbol.iterator]() {
    return generated(this.start, this.end)
  }
}
sliceable(Sliced)
