/** Counts the tasks that really ran, in any thread: each adds 1 to memory that all threads of the process share. */
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads'

const KEY = 'bench: tasks that ran'

// Threads started later get the environment data; what is shared in it stays shared.
if (isMainThread) setEnvironmentData(KEY, new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)))
const counter = getEnvironmentData(KEY)
if (!(counter instanceof Int32Array))
  throw new Error('Expected the main thread to import counter.js before it starts threads')

/** To be called by each task. */
export const countOne = (): void => {
  Atomics.add(counter, 0, 1)
}

/** Counts tasks that another process ran, and counted itself. */
export const countMany = (tasks: number): void => {
  Atomics.add(counter, 0, tasks)
}

/** The number of tasks that ran so far. */
export const counted = (): number => Atomics.load(counter, 0)
