/**
 * Built-ins as they were when this module was loaded. A task shares its thread with the code that runs it, and may delete or
 * replace those of `globalThis` (fake timers do): what runs in a thread takes them from here.
 */
import process from 'node:process'

const { compareExchange, load, store, wait } = Atomics

export const builtins = Object.freeze({
  AbortController,
  Atomics,
  DOMException,
  Error,
  Promise,
  clearInterval,
  compareExchange,
  exit: process.exit.bind(process),
  hrtime: process.hrtime.bigint,
  load,
  memoryUsage: process.memoryUsage.bind(process),
  now: performance.now.bind(performance),
  setInterval,
  store,
  structuredClone,
  wait,
})
