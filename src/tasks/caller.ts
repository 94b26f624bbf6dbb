/** Which file called a function: how `queueable` learns what a thread must import. */
import { pathToFileURL } from 'node:url'

/**
 * The `file:` URL of the module that called `callee`, or `undefined` if that is no file (REPL, `--eval`).
 * Frames of tslib are passed over: a class decorator is called from there when TypeScript compiles with `importHelpers`.
 */
export function callerFile(callee: (...args: never[]) => unknown): string | undefined {
  const { prepareStackTrace, stackTraceLimit } = Error
  const holder: { stack?: unknown } = {}
  try {
    Error.stackTraceLimit = 8
    // With this hook V8 hands out the call sites instead of text; source maps don't touch them, so the names are those
    // of the files that were loaded, which is what a thread has to load.
    Error.prepareStackTrace = (_error, callSites) => callSites.map(site => site.getFileName())
    Error.captureStackTrace(holder, callee)
    const files = holder.stack
    if (!Array.isArray(files)) return undefined
    const file: unknown = files.find(name => typeof name !== 'string' || !/[\\/]tslib[\\/]/.test(name))
    if (typeof file !== 'string') return undefined
    if (file.startsWith('file:')) return file
    return /^([\\/]|[A-Za-z]:)/.test(file) ? pathToFileURL(file).href : undefined
  } finally {
    Error.prepareStackTrace = prepareStackTrace
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** The stem of a module's file: `file:///x/tasks.ts` → `tasks`, as Python names its modules. */
export function moduleName(url: string | undefined): string | undefined {
  if (url === undefined) return undefined
  const file = decodeURIComponent(new URL(url).pathname.split('/').at(-1) ?? '')
  return file.replace(/\.[^.]+$/, '')
}
