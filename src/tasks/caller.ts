/** Finds the file that called a function and the module being loaded then, which a thread must import to have the same code. */
import { pathToFileURL } from 'node:url'

/** The origin of a call. `undefined` where that is no file (REPL, `--eval`). */
export interface Caller {
  /** `file:` URL of the file that has the call in it. */
  readonly file: string | undefined
  /**
   * `file:` URL of the module whose top level made the call, by whatever functions of others: a wrapper of the user's own,
   * or the helper that calls a decorator (tslib, SWC's helpers, reflect-metadata, a chunk that a bundler shares). Importing
   * it makes the call again. As `file` where the call was made later.
   */
  readonly module: string | undefined
}

interface Frame {
  readonly file: string | undefined
  readonly isTopLevel: boolean
}

/** A decorator is called by a few functions of a helper, each through the next. */
const maxFrames = 40

/** The place where `callee` was called. */
export function callerOf(callee: (...args: never[]) => unknown): Caller {
  const frames = framesAbove(callee)
  // TypeScript's `importHelpers` calls decorators from there.
  const first = frames.find(({ file }) => file === undefined || !/[\\/]tslib[\\/]/.test(file))
  const file = urlOf(first?.file)
  const topLevel = frames.find(({ isTopLevel }) => isTopLevel)
  return { file, module: topLevel === undefined ? file : urlOf(topLevel.file) }
}

function framesAbove(callee: (...args: never[]) => unknown): readonly Frame[] {
  const holder: { stack?: unknown } = {}
  // `--frozen-intrinsics`: the text is all there is.
  if (Object.isFrozen(Error)) {
    Error.captureStackTrace(holder, callee)
    return framesOfText(String(holder.stack))
  }
  const { prepareStackTrace, stackTraceLimit } = Error
  try {
    Error.stackTraceLimit = maxFrames
    // With this hook V8 returns the call sites instead of text; source maps don't affect them, so the names are those
    // of the loaded files, which a thread has to load.
    Error.prepareStackTrace = (_error, callSites) => callSites.map(frameOf)
    Error.captureStackTrace(holder, callee)
    return Array.isArray(holder.stack) ? holder.stack : []
  } finally {
    Error.prepareStackTrace = prepareStackTrace
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** V8 has these two since Node 16; TypeScript's types of Node lack them. */
interface EnclosingPosition {
  getEnclosingLineNumber?(): number | null
  getEnclosingColumnNumber?(): number | null
}

function frameOf(site: NodeJS.CallSite): Frame {
  const name = site.getFunctionName()
  const { getEnclosingLineNumber: line, getEnclosingColumnNumber: column } = site as EnclosingPosition
  // The code of a module begins where its file does. Every other function without a name begins after at least a `(`.
  const isWhole = name === null && line?.call(site) === 1 && column?.call(site) === 1
  // The name of the function that Jest puts around a CommonJS module.
  return { file: site.getFileName() ?? undefined, isTopLevel: isWhole || name === 'Object.<anonymous>' }
}

/** Lines like `at file:///x/tasks.js:1:2`, `at Object.<anonymous> (/x/tasks.js:1:2)`, `at helper (/x/helper.js:1:2)`. */
function framesOfText(stack: string): readonly Frame[] {
  return stack.split('\n').flatMap(line => {
    const [, name, inParentheses, bare] = /^ +at (?:(.*) \((.*):\d+:\d+\)|(.*):\d+:\d+)$/.exec(line) ?? []
    const file = inParentheses ?? bare
    if (file === undefined) return []
    return [{ file, isTopLevel: !file.startsWith('node:') && (name === undefined || name === 'Object.<anonymous>') }]
  })
}

function urlOf(file: string | undefined): string | undefined {
  if (file === undefined || file.startsWith('file:')) return file
  return /^([\\/]|[A-Za-z]:)/.test(file) ? pathToFileURL(file).href : undefined
}

/** The stem of a module's file: `file:///x/tasks.ts` → `tasks`, as Python names its modules. */
export function moduleName(url: string | undefined): string | undefined {
  if (url === undefined) return undefined
  const file = decodeURIComponent(new URL(url).pathname.split('/').at(-1) ?? '')
  return file.replace(/\.[^.]+$/, '')
}
