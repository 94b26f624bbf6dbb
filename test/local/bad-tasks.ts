// Tasks that fail in every way a task can. Each first counts that it began, in shared memory.
import { threadId } from 'node:worker_threads'
import { context, queueable } from 'ptq'
import type { Shared } from './tasks.js'

export class QuotaError extends Error {
  override readonly name = 'QuotaError'
  readonly limit = 5
  get code() {
    return 'E_QUOTA'
  }
}

export const ways = {
  throws: () => {
    throw new TypeError('thrown at once')
  },
  rejects: async () => {
    await turn()
    throw new RangeError('rejected later')
  },
  custom: () => {
    throw new QuotaError('over quota', { cause: new SyntaxError('the cause', { cause: 'its cause' }) })
  },
  aggregate: () => {
    throw new AggregateError([new TypeError('one'), 'two', new QuotaError('three')], 'several')
  },
  string: () => {
    throw 'just text'
  },
  undefined: () => {
    throw undefined
  },
  object: () => {
    throw { status: 404, callback: () => 1 }
  },
  unreadable: () => {
    throw new Proxy(new Error('x'), {
      getPrototypeOf() {
        throw new Error('not even its class')
      },
    })
  },
  never: () => new Promise(() => undefined),
  spins: () => {
    for (;;);
  },
  fillsHeap: () => {
    // Not by calls of built-in functions alone: V8 can't stop such a loop from Node 24 on.
    let kept: unknown
    for (;;) kept = { kept }
  },
  fillsBuffers: async () => {
    const kept: Uint8Array[] = []
    for (;;) {
      kept.push(new Uint8Array(4 << 20).fill(1))
      await turn()
    }
  },
  exits: () => process.exit(3),
  exitsLater: async () => {
    await turn()
    process.exit(4)
  },
  throwsInTimer: async () => {
    setTimeout(() => {
      throw new TypeError('thrown by a timer')
    }, 1)
    await new Promise(() => undefined)
  },
  rejectsUnheard: async () => {
    void turn().then(() => {
      throw new TypeError('nobody listens')
    })
    await new Promise(() => undefined)
  },
} as const satisfies Record<string, () => unknown>

export type Way = keyof typeof ways

export const fail = queueable(function fail(way: Way, index: number, counts: Shared) {
  Atomics.add(counts, index, 1)
  return ways[way]()
})

/** Ends when its signal aborts; with `well` it succeeds. */
export const heed = queueable(async function heed(well: boolean) {
  const { signal } = context()
  await new Promise(resolve => signal.addEventListener('abort', resolve))
  if (!well) signal.throwIfAborted()
  return threadId
})

/** Never ends; counts that it was asked to. */
export const outstay = queueable(function outstay(index: number, counts: Shared): Promise<never> {
  context().signal.addEventListener('abort', () => Atomics.add(counts, index, 1))
  return new Promise(() => undefined)
})

/** Ends well, but leaves something behind that throws, or ends its thread, when counter 0 is raised. */
export const leaveBehind = queueable(function leaveBehind(what: 'throw' | 'exit', counts: Shared) {
  const timer = setInterval(() => {
    if (Atomics.load(counts, 0) === 0) return
    clearInterval(timer)
    if (what === 'exit') process.exit(5)
    throw new Error('a leftover')
  }, 1)
  return threadId
})

function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
