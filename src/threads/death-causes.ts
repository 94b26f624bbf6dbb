/** What is said of tasks whose thread was stopped or died. */
import { isErrorNamed } from '../errors/thrown.js'

/** The error of a task that took longer than `timeoutSeconds`. */
export function timeoutError(timeoutMs: number): Error {
  const error = new Error(`Expected the task to end within timeoutSeconds (${timeoutMs / 1000} s), it was stopped`)
  error.name = 'TimeoutError'
  return error
}

/** The error of a task that ran when its thread died without a word. */
export function explainDeath(death: unknown, maxMemoryMb: number | undefined): Error {
  if (!isOutOfMemory(death)) return new Error('The thread died while the task ran', { cause: death })
  return new Error(`The task needed more memory than ${memoryLimit(maxMemoryMb)}; its thread was stopped`, {
    cause: death,
  })
}

/** The error of a task that ran when the code that runs tasks failed in its thread. */
export function brokenThreadError(cause: unknown): Error {
  return new Error(
    'The code that runs tasks in a thread failed while the task ran, and the thread was stopped; tasks must not change ' +
      'built-in objects that others need (Map.prototype, say)',
    { cause },
  )
}

/** The error of tasks whose file ends each thread that imports it. */
export function deadlyFileError(url: string, death: unknown, maxMemoryMb: number | undefined): Error {
  let what = 'it ended the thread'
  if (isOutOfMemory(death)) what = `it needed more memory than ${memoryLimit(maxMemoryMb)}`
  else if (isErrorNamed(death, 'TimeoutError')) what = 'that did not come to an end'
  return new Error(`Expected ${url} to load in a thread, but ${what}`, { cause: death })
}

/** The error of a run whose threads die before they can run anything. */
export function barrenThreadsError(deaths: number, codeNames: string, death: unknown): Error {
  return new Error(
    `Expected threads to run ${codeNames}, but ${deaths} in a row died before any task began` +
      (isOutOfMemory(death) ? '; a thread needs some 10 MB before it runs anything: raise maxMemoryMb' : ''),
    { cause: death },
  )
}

function isOutOfMemory(death: unknown): boolean {
  return (death as { code?: unknown } | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY'
}

function memoryLimit(maxMemoryMb: number | undefined): string {
  return maxMemoryMb === undefined ? "Node's heap limit for a thread" : `maxMemoryMb (${maxMemoryMb} MB)`
}

/** The error of a task whose outcome the main thread can't read. */
export function unreadableError(verb: 'return' | 'throw'): Error {
  return new Error(
    `Expected the task to ${verb} what the main thread can read, but it can't be transferred: it is nested too deeply ` +
      `(about 1,000 levels can be cloned); ${verb} it flatter, or as text`,
  )
}
