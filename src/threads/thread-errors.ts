/** Errors of tasks whose thread was stopped or crashed. */
import { isErrorNamed } from '../errors/thrown.js'

/** The error of a task that took longer than `timeoutSeconds`. */
export function timeoutError(timeoutMs: number): Error {
  const error = new Error(`Expected the task to end within timeoutSeconds (${timeoutMs / 1000} s), it was stopped`)
  error.name = 'TimeoutError'
  return error
}

/** The error of a task that ran when its thread crashed without giving a reason. */
export function crashError(cause: unknown, maxMemoryMb: number | undefined): Error {
  if (!isOutOfMemory(cause)) return new Error('The thread died while the task ran', { cause })
  return new Error(`The task needed more memory than ${memoryLimit(maxMemoryMb)}; its thread was stopped`, {
    cause,
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
export function crashingModuleError(url: string, cause: unknown, maxMemoryMb: number | undefined): Error {
  let what = 'it ended the thread'
  if (isOutOfMemory(cause)) what = `it needed more memory than ${memoryLimit(maxMemoryMb)}`
  else if (isErrorNamed(cause, 'TimeoutError')) what = 'that did not come to an end'
  return new Error(`Expected ${url} to load in a thread, but ${what}`, { cause })
}

/** The error of a run whose threads crash before they can run anything. */
export function failedStartUpsError(crashes: number, codeNames: string, cause: unknown): Error {
  return new Error(
    `Expected threads to run ${codeNames}, but ${crashes} in a row died before any task began` +
      (isOutOfMemory(cause) ? '; a thread needs some 10 MB before it runs anything: raise maxMemoryMb' : ''),
    { cause },
  )
}

function isOutOfMemory(cause: unknown): boolean {
  return (cause as { code?: unknown } | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY'
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
