// Tasks that change what the code which runs them shares with them.
import { context, queueable } from 'ptq'

const broken = () => {
  throw new TypeError('replaced by a task')
}

/** Deletes or replaces globals. */
export const tamper = queueable(function tamper(names: readonly string[], how: 'delete' | 'replace') {
  for (const name of names) {
    if (how === 'delete') Reflect.deleteProperty(globalThis, name)
    else Object.defineProperty(globalThis, name, { value: broken, configurable: true, writable: true })
  }
})

/** Replaces methods of objects that stay in place. */
export const tamperInside = queueable(function tamperInside(name: string) {
  if (name === 'performance.now') performance.now = broken
  else if (name === 'Atomics')
    Object.assign(Atomics, { store: broken, load: broken, wait: broken, compareExchange: broken })
  else if (name === 'process.exit') process.exit = broken
  else if (name === 'process.hrtime') process.hrtime = Object.assign(broken, { bigint: broken })
  else if (name === 'process.memoryUsage') process.memoryUsage = Object.assign(broken, { rss: broken })
  else if (name === 'process.nextTick') process.nextTick = broken
})

export const insides = [
  'performance.now',
  'Atomics',
  'process.exit',
  'process.hrtime',
  'process.memoryUsage',
  'process.nextTick',
]

/** Uses everything that runs a task, without globals. */
export const useAll = queueable(async function useAll(index: number) {
  const { progress, log, renew } = context()
  progress(0.5)
  log('line', index)
  await renew(1)
  if (index % 3 === 1) throw Object.assign(new RangeError('thrown'), { inspect: () => 1, at: new Date(0) })
  return { index, date: new Date(0), nested: [new Map([[1, 2]])] }
})

/** Ends when its signal is aborted. */
export const awaitAbort = queueable(function awaitAbort(): Promise<never> {
  const { signal } = context()
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
})

/** Allocates until its thread is stopped, without globals. */
export const grow = queueable(async function grow(): Promise<never> {
  const kept: Uint8Array[] = []
  for (;;) {
    kept.push(new Uint8Array(1 << 20).fill(1))
    await turn()
  }
})

const { setImmediate } = globalThis
const turn = () => new Promise<void>(resolve => setImmediate(resolve))

/** Breaks the code that runs tasks, which makes maps; with `keepsThread`, also the way out of the thread. */
export const breakMaps = queueable(function breakMaps(keepsThread: boolean) {
  Reflect.deleteProperty(Map.prototype, 'set')
  if (keepsThread) process.off = broken
})
