/**
 * Threads that are being stopped. One that runs JavaScript ends at once; one in a native call that doesn't return
 * (reading a FIFO, `execSync`) can't be interrupted, and must delay neither a run nor the end of the process.
 */
import type { Worker } from 'node:worker_threads'
import { exitNow } from './exit-now.js'

/** Time after which a thread that has not ended is taken to be in a native call. Milliseconds. */
const giveUpMs = 1_000

/** Threads that have not ended. */
const alive = new Set<Worker>()

/** Threads that are being stopped, with a promise that resolves when they have ended or are given up. */
const ending = new Map<Worker, Promise<void>>()

/** Threads that were given up. */
const stuck = new Set<Worker>()

/** Notes threads of a pool. */
export function watchThreads(threads: Iterable<Worker>): void {
  for (const thread of threads) {
    if (alive.has(thread)) continue
    alive.add(thread)
    thread.once('exit', () => {
      alive.delete(thread)
      ending.delete(thread)
      stuck.delete(thread)
    })
  }
}

/** Resolves when all threads but those of `inUse`, which are being stopped, have ended or are given up. */
export async function threadsEnded(inUse: ReadonlySet<Worker>): Promise<void> {
  const toEnd = [...alive].filter(thread => !inUse.has(thread))
  await Promise.all(toEnd.map(endOf))
}

/** Terminates all threads, since the process is about to exit. Resolves as {@link threadsEnded}. */
export async function endAllThreads(): Promise<void> {
  for (const thread of alive) void thread.terminate()
  await threadsEnded(new Set())
}

function endOf(thread: Worker): Promise<void> {
  let end = ending.get(thread)
  if (end === undefined) {
    end = new Promise(resolve => {
      const timer = setTimeout(() => {
        giveUp(thread)
        resolve()
      }, giveUpMs)
      thread.once('exit', () => {
        clearTimeout(timer)
        resolve()
      })
    })
    ending.set(thread, end)
  }
  return end
}

function giveUp(thread: Worker): void {
  if (stuck.size === 0 && !process.listeners('exit').includes(onExit)) process.on('exit', onExit)
  stuck.add(thread)
  thread.unref()
  process.emitWarning(
    'A thread could not be stopped: its task is in a native call, such as execSync or the reading of a FIFO. It goes on ' +
      'until that returns or the process exits, and holds up neither.',
    { code: 'PTQ_STUCK_THREAD' },
  )
}

function onExit(code: number): void {
  if (stuck.size === 0) return
  const listeners = process.listeners('exit')
  // Listeners behind this one would not be called after exitNow().
  for (const listener of listeners.slice(listeners.indexOf(onExit) + 1)) Reflect.apply(listener, process, [code])
  exitNow(code)
}
