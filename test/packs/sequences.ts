// Sequences for the tests of packs.
import { type FunctionTask, partial, type Sliceable, sliceable } from 'ptq'
import { leaveLine, noop } from '../poll/tasks.js'

/** Twice each number, made asynchronously. */
export class Doubled implements Sliceable<FunctionTask<[], number>> {
  readonly start: number
  readonly end: number

  constructor(start: number, end: number) {
    this.start = start
    this.end = end
  }

  get length(): number {
    return this.end - this.start
  }

  slice(start: number, end: number): AsyncIterable<FunctionTask<[], number>> {
    return laterNumbers(this.start + start, this.start + end)
  }

  *[Symbol.iterator](): Generator<FunctionTask<[], number>> {
    for (let n = this.start; n < this.end; n++) yield partial(noop, 2 * n)
  }
}

async function* laterNumbers(start: number, end: number): AsyncGenerator<FunctionTask<[], number>> {
  for (let n = start; n < end; n++) {
    await new Promise(resolve => setImmediate(resolve))
    yield partial(noop, 2 * n)
  }
}

sliceable(Doubled)

/** Three tasks with a mark, which JSON may not carry. */
export class Marked implements Sliceable {
  readonly mark: unknown
  readonly start: number
  readonly end: number

  constructor(mark: unknown, start = 0, end = 3) {
    this.mark = mark
    this.start = start
    this.end = end
  }

  get length(): number {
    return this.end - this.start
  }

  slice(start: number, end: number): Marked {
    return new Marked(this.mark, this.start + start, this.start + end)
  }

  *[Symbol.iterator]() {
    for (let n = this.start; n < this.end; n++) {
      const time = this.mark instanceof Date ? this.mark.getTime() : String(this.mark)
      yield { class: 'Any', n, time }
    }
  }
}

sliceable(Marked)

/** Fails at one of its tasks. */
export class Breaking implements Sliceable<FunctionTask<[], number>> {
  readonly start: number
  readonly end: number
  readonly at: number

  constructor(start: number, end: number, at: number) {
    this.start = start
    this.end = end
    this.at = at
  }

  get length(): number {
    return this.end - this.start
  }

  slice(start: number, end: number): Breaking {
    return new Breaking(this.start + start, this.start + end, this.at)
  }

  *[Symbol.iterator](): Generator<FunctionTask<[], number>> {
    for (let n = this.start; n < this.end; n++) {
      if (n === this.at) throw new RangeError(`no task ${n}`)
      yield partial(noop, n)
    }
  }
}

sliceable(Breaking)

/** What it makes at one place can't be stored: no task, or a task with an argument that JSON has not. */
export class Spoiled implements Sliceable {
  readonly start: number
  readonly end: number
  readonly at: number
  readonly ledger: string
  readonly how: 'no task' | 'argument'

  constructor(start: number, end: number, { at, ledger, how }: Pick<Spoiled, 'at' | 'ledger' | 'how'>) {
    this.start = start
    this.end = end
    this.at = at
    this.ledger = ledger
    this.how = how
  }

  get length(): number {
    return this.end - this.start
  }

  slice(start: number, end: number): Spoiled {
    return new Spoiled(this.start + start, this.start + end, this)
  }

  *[Symbol.iterator](): Generator<FunctionTask<[], void>> {
    for (let n = this.start; n < this.end; n++) {
      if (n !== this.at) yield partial(leaveLine, this.ledger)
      else if (this.how === 'no task') yield undefined as never
      else yield partial(leaveLine, Symbol('no JSON') as never)
    }
  }
}

sliceable(Spoiled)
