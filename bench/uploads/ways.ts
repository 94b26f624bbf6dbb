/** The seven ways to fill a queue, from worst to best. */
import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { TaskQueue, type TaskQueueOptions } from 'ptq'
import { generated, Sliced } from './tasks.js'

/** The queue to fill. */
export interface Destination {
  readonly url: string
  readonly options: TaskQueueOptions
}

/** Threads of the ways that use some. */
export const THREADS = 2

/** The options of a thread of the ways 5 and 6. */
export interface HandCut extends Destination {
  readonly form: 'generator' | 'iterator'
  readonly start: number
  readonly end: number
}

type Way = (destination: Destination, n: number) => Promise<void>

const inFlight = (concurrency: number, insert: (tq: TaskQueue, n: number) => Promise<unknown>): Way => {
  return async ({ url, options }, n) => {
    await using tq = new TaskQueue(url, { ...options, concurrency })
    await insert(tq, n)
  }
}

const threadsByHand = (form: HandCut['form']): Way => {
  return async (destination, n) => {
    const cut = (thread: number) => Math.round((n * thread) / THREADS)
    const threads = Array.from({ length: THREADS }, (_, thread) => {
      const workerData: HandCut = { ...destination, form, start: cut(thread), end: cut(thread + 1) }
      return once(new Worker(join(import.meta.dirname, 'hand-cut-thread.js'), { workerData }), 'exit')
    })
    for (const [code] of await Promise.all(threads)) {
      if (code !== 0) throw new Error(`Expected each thread to insert its tasks, one ended with ${code}`)
    }
  }
}

/** The ways by their number in the guide of the Python original, from 1. */
export const WAYS: readonly { readonly name: string; readonly fill: Way }[] = [
  {
    name: '1. one insert call for each task of an array',
    fill: inFlight(1, async (tq, n) => {
      for (const task of [...generated(0, n)]) await tq.insert(task)
    }),
  },
  { name: '2. one call with the array', fill: inFlight(1, (tq, n) => tq.insert([...generated(0, n)])) },
  {
    name: '3. one call with a generator and `total`',
    fill: inFlight(1, (tq, n) => tq.insert(generated(0, n), { total: n })),
  },
  {
    name: '4. the same, 40 batches in flight',
    fill: inFlight(40, (tq, n) => tq.insert(generated(0, n), { total: n })),
  },
  { name: '5. generators in two threads, cut by hand', fill: threadsByHand('generator') },
  { name: '6. iterators in two threads, cut by hand', fill: threadsByHand('iterator') },
  {
    name: '7. a sliceable sequence, `parallel: 2`',
    fill: inFlight(40, (tq, n) => tq.insert(new Sliced(0, n), { parallel: THREADS })),
  },
]
