// Tasks for the tests of local runs. What they do is counted in shared memory, passed as an extra argument.
import { getHeapStatistics } from 'node:v8'
import { threadId } from 'node:worker_threads'
import { context, queueable, RegisteredTask, registerTask } from 'ptq'

/** Counters in shared memory. */
export type Shared = Int32Array

export const shared = (length: number): Shared => new Int32Array(new SharedArrayBuffer(length * 4))

/** Adds 1 to the counter at `index`. */
export const count = queueable(function count(index: number, counts: Shared) {
  Atomics.add(counts, index, 1)
  return index
})

export const add = queueable(
  function add(a: number, b: number) {
    return a + b
  },
  { minArgs: 2 },
)

export const echo = queueable(function echo(...args: unknown[]) {
  return args
})

export const heapLimitMb = queueable(function heapLimitMb() {
  return getHeapStatistics().heap_size_limit / 2 ** 20
})

export const where = queueable(function where(_index = 0) {
  return threadId
})

/** Changes what it was given, however deep. */
export const spoil = queueable(function spoil(box: { min: number[] }, more = { times: 1 }) {
  const seen = [box.min.length, more.times]
  box.min.push(1)
  more.times++
  return seen
})

/** Yields to the event loop `times` times, then counts. */
export const countLater = queueable(async function countLater(index: number, turns: number, counts: Shared) {
  for (let turn = 0; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve))
  Atomics.add(counts, index, 1)
  return index
})

/** Blocks its thread until the counter at `index` has reached `value`; raises the next counter at its start. */
export const blockUntil = queueable(function blockUntil(index: number, value: number, counts: Shared) {
  Atomics.add(counts, index + 1, 1)
  for (let now = Atomics.load(counts, index); now < value; now = Atomics.load(counts, index)) {
    Atomics.wait(counts, index, now, 10)
  }
  return index
})

/** Blocks its thread until `party` of these have begun, each in a thread of its own; returns its thread. */
export const blockTogether = queueable(function blockTogether(party: number, counts: Shared) {
  Atomics.add(counts, 0, 1)
  Atomics.notify(counts, 0)
  for (let now = Atomics.load(counts, 0); now < party; now = Atomics.load(counts, 0)) Atomics.wait(counts, 0, now)
  return threadId
})

/** As {@link blockUntil}, without blocking. */
export const awaitUntil = queueable(async function awaitUntil(index: number, value: number, counts: Shared) {
  while (Atomics.load(counts, index) < value) await new Promise(resolve => setImmediate(resolve))
  return index
})

/** Counts that it is there, and stays until the counter at `index` is raised by as much as 1,000. */
export const stay = queueable(async function stay(index: number, counts: Shared) {
  Atomics.add(counts, index, 1)
  while (Atomics.load(counts, index) < 1000) await new Promise(resolve => setImmediate(resolve))
})

/** `party` of these wait for each other; counters 0 to 2: total, current and maximum number. */
export const meet = queueable(async function meet(party: number, counts: Shared) {
  const came = Atomics.add(counts, 0, 1) + 1
  const there = Atomics.add(counts, 1, 1) + 1
  if (there > Atomics.load(counts, 2)) Atomics.store(counts, 2, there)
  const goal = Math.ceil(came / party) * party
  while (Atomics.load(counts, 0) < goal) await new Promise(resolve => setImmediate(resolve))
  Atomics.sub(counts, 1, 1)
  return came
})

export const giveBack = queueable(function giveBack(kind: string): unknown {
  if (kind === 'function') return () => 1
  if (kind === 'getter that throws') return Object.defineProperty({}, 'x', { enumerable: true, get: () => thrower() })
  return new Map<unknown, unknown>([
    ['date', new Date(0)],
    ['big', 2n ** 64n],
    ['bytes', Uint8Array.of(1, 2)],
    ['nothing', undefined],
    ['error', new RangeError('x')],
  ])
})

function thrower(): never {
  throw new Error('no getter')
}

export const ask = queueable(async function ask(depth: number) {
  const { id, attempt, signal, renew, progress, log } = context()
  for (let turn = 0; turn < depth; turn++) await new Promise(resolve => setImmediate(resolve))
  await renew(10)
  progress(0.25, 'a quarter')
  log('a line %d', 7, { of: 'many' })
  for (let step = 0; step <= 1000; step++) progress(step / 1000)
  const same = context().id === id
  return { id, attempt, aborted: signal.aborted, same }
})

export const fails = queueable(function fails() {
  throw new RangeError('not this time')
})

/** Prints so many lines of some length on stdout and stderr. */
export const print = queueable(function print(lines: number) {
  for (let line = 0; line < lines; line++) console.log(`line ${line} ${'x'.repeat(200)}`)
  console.error('last')
})

export const programArguments = queueable(function programArguments() {
  return process.argv.slice(2).join(' ')
})

export class Adder extends RegisteredTask<{ a: number; b: number; history?: number[] }> {
  execute(...extra: number[]) {
    this.args.history?.push(this.args.a)
    return extra.reduce((sum, x) => sum + x, this.args.a + this.args.b)
  }
}
registerTask(Adder)

class Private {
  readonly #text = 'kept to itself'
  get text() {
    return this.#text
  }
}

/** Returns what structured clone would make empty objects of; and, at last, what is empty by itself. */
export const giveEmptied = queueable(function giveEmptied(kind: string): unknown {
  if (kind === 'URL') return new URL('http://x.y')
  if (kind === 'Headers') return new Headers({ a: 'b' })
  if (kind === 'private') return new Private()
  if (kind === 'nested') return { list: [1, { url: new URL('http://x.y') }] }
  return [{}, [], new Map(), new Error('x')]
})

/** Returns a thenable that does its work when it is awaited, as query builders do. */
export const lazily = queueable(function lazily(kind: string): PromiseLike<number> {
  const then = (done: (attempt: number) => void) => {
    if (kind === 'throws') throw new Error('thrown by then')
    if (kind === 'context') done(context().attempt)
    else {
      setTimeout(() => {
        throw new Error('thrown by a timer')
      })
    }
  }
  return { then } as PromiseLike<number>
})
