/**
 * Maps names to the code registered by `queueable` and `registerTask` and back, with the file that a thread has to import
 * to register it too.
 *
 * The registry is a property of `globalThis`, because one process may hold two copies of this module: a loader that turns ESM
 * into CommonJS makes one, a second installed version is another. A task registered through either must be found.
 */

import { argumentError, UnregisteredTaskError } from '../errors/errors.js'
import { plainLine } from '../text/plain-line.js'
import { callerOf, moduleName } from './caller.js'
import type { FunctionKey, Payload } from './payload.js'

/** The module that registered code, which a thread imports to have it too. */
export interface CodeOrigin {
  /** `file:` URL of the module that registered it; `undefined` where that isn't a file (REPL, `--eval`). */
  readonly url: string | undefined
}

// The parameters of registered code are unknown here: `never[]` accepts every signature and forbids untyped calls.
type AnyFunction = (...args: never[]) => unknown

/** A function known by its key. */
export interface RegisteredFunction extends CodeOrigin {
  readonly kind: 'function'
  readonly module: string
  readonly name: string
  /** `[module, name]`, one array for all of its tasks. */
  readonly key: FunctionKey
  readonly fn: AnyFunction
  /** The least number of arguments of a task. */
  readonly minArgs: number
}

/** A class known by its name. */
export interface RegisteredClass extends CodeOrigin {
  readonly kind: 'class'
  readonly name: string
  readonly class: TaskClass
}

export type RegisteredCode = RegisteredFunction | RegisteredClass

/** A class whose objects are tasks; rebuilt from a payload by `new Class(fields)`. */
export type TaskClass = new (fields: never) => { execute(...extra: never[]): unknown; payload(): Payload }

/** Overrides of what `queueable` finds out by itself. */
export interface QueueableOptions {
  /** First half of the key. Default: the stem of the file that calls `queueable` (`tasks.ts`, `dist/tasks.js` → `tasks`). */
  readonly module?: string
  /** Second half of the key. Default: the function's own name. */
  readonly name?: string
  /**
   * The minimum number of arguments of a task, for callers that no compiler checks. Default 0: at run time it is
   * unknown which parameters are optional, since TypeScript's `?` is erased.
   */
  readonly minArgs?: number
  /** `import.meta.url` of the module that threads import to get the function. Default: the one that is loaded when `queueable` is called. */
  readonly url?: string
}

/** Overrides of what `registerTask` finds out by itself. */
export interface RegisterTaskOptions {
  /** The name in payloads. Default: the name of the class. */
  readonly name?: string
  /** `import.meta.url` of the module that threads import to get the class. Default: the one that is loaded when `registerTask` is called. */
  readonly url?: string
}

interface Registry {
  /** module → name → function: two maps, so that a look-up builds no string. */
  readonly functions: Map<string, Map<string, RegisteredFunction>>
  readonly byFunction: WeakMap<AnyFunction, RegisteredFunction>
  readonly classes: Map<string, RegisteredClass>
  readonly byClass: WeakMap<object, RegisteredClass>
}

const registryKey = Symbol.for('ptq.registry.1')
const holder = globalThis as { [registryKey]?: Registry }
holder[registryKey] ??= {
  functions: new Map(),
  byFunction: new WeakMap(),
  classes: new Map(),
  byClass: new WeakMap(),
}
const registry: Registry = holder[registryKey]

/** @throws TypeError for an invalid name */
function checkName(name: unknown): void {
  if (name === undefined || (typeof name === 'string' && name !== '')) return
  throw argumentError('options.name', 'a text that is not empty', name)
}

/**
 * Registers a function, so that tasks can call it by name in a thread, in another process, or on another machine.
 * Call it at the top level of a module that threads can import: `export const f = queueable(function f(x: number) {…})`.
 *
 * @returns the function itself: it can still be called as it is
 * @throws TypeError if `fn` is no function or has no name; Error if another function has the key already
 */
export function queueable<F extends AnyFunction>(fn: F, options: QueueableOptions = {}): F {
  if (typeof fn !== 'function') throw argumentError('fn', 'a function', fn)
  const name = options.name ?? fn.name
  checkName(options.name)
  if (name === '') {
    throw argumentError('fn', 'a function with a name; write `function name() {…}` or pass `{ name }`', fn)
  }
  const caller = callerOf(queueable)
  const url = options.url ?? caller.module
  // A payload has the name of the file with the call, as Python names a function by its own file.
  const module = options.module ?? moduleName(options.url ?? caller.file)
  if (typeof module !== 'string' || module === '') {
    throw argumentError(
      'options.module',
      'the first half of the key, since `queueable` was not called from a file',
      module,
    )
  }
  const { minArgs = 0 } = options
  if (!Number.isInteger(minArgs) || minArgs < 0 || minArgs > fn.length) {
    throw argumentError('options.minArgs', `an integer from 0 to the ${fn.length} parameters of ${name}`, minArgs)
  }
  const names = registry.functions.get(module) ?? new Map<string, RegisteredFunction>()
  const known = names.get(name)
  if (known !== undefined && known.fn !== fn) refuseSecond(`function ${module}.${name}`, known, url, known.fn, fn)
  const entry: RegisteredFunction = { kind: 'function', module, name, key: [module, name], fn, url, minArgs }
  registry.functions.set(module, names.set(name, entry))
  registry.byFunction.set(fn, entry)
  return fn
}

/**
 * Registers a class of tasks by its name: `registerTask(PrintTask)`, or `@registerTask` on the class.
 *
 * @returns the class itself
 * @throws TypeError if `Class` is no class of tasks or has no name; Error if another class has the name already
 */
export function registerTask<C extends TaskClass>(
  Class: C,
  options: RegisterTaskOptions | ClassDecoratorContext = {},
): C {
  if (typeof Class !== 'function' || typeof Class.prototype?.execute !== 'function') {
    throw argumentError('Class', 'a class that extends RegisteredTask and has a method `execute`', Class)
  }
  const given = 'kind' in options ? {} : options
  const name = given.name ?? Class.name
  checkName(given.name)
  if (name === '') {
    throw argumentError('Class', 'a class with a name; write `class Name …` or pass `{ name }`', Class)
  }
  const url = given.url ?? callerOf(registerTask).module
  const known = registry.classes.get(name)
  if (known !== undefined && known.class !== Class) refuseSecond(`class ${name}`, known, url, known.class, Class)
  const entry: RegisteredClass = { kind: 'class', name, class: Class, url }
  registry.classes.set(name, entry)
  registry.byClass.set(Class, entry)
  return Class
}

/**
 * One file loaded twice (a reload, or as ESM and as CommonJS) registers the same source again: the newer one is used.
 * Any other function under a used name would silently run the wrong code.
 */
export function refuseSecond(
  what: string,
  known: CodeOrigin,
  url: string | undefined,
  knownCode: object,
  code: object,
): void {
  const sameFile = withoutQuery(known.url) === withoutQuery(url)
  if (sameFile && String(knownCode) === String(code)) return
  throw new Error(
    `Expected the name of ${what} to be free, but ${known.url ?? 'code outside a file'} registered it` +
      (sameFile ? ' with other code' : ` and now ${url ?? 'code outside a file'} does too`) +
      '; rename one of them, or give it a name of its own in the options',
  )
}

function withoutQuery(url: string | undefined): string | undefined {
  return url?.replace(/[?#].*$/, '')
}

/** The function under a key, if this process has it. */
export function findFunction(module: string, name: string): RegisteredFunction | undefined {
  return registry.functions.get(module)?.get(name)
}

/** The class under a name, if this process has it. */
export function findClass(name: string): RegisteredClass | undefined {
  return registry.classes.get(name)
}

/** The registration of this function itself. */
export function registeredFunction(fn: AnyFunction): RegisteredFunction | undefined {
  return registry.byFunction.get(fn)
}

/** The registration of this class itself. */
export function registeredClass(Class: object): RegisteredClass | undefined {
  return registry.byClass.get(Class)
}

/** The name of registered code as messages show it. */
export function codeName(code: RegisteredCode): string {
  return code.kind === 'function' ? `${code.module}.${code.name}` : code.name
}

/** The error for a function that no module registered here. */
export function unregisteredFunction(module: string, name: string): UnregisteredTaskError {
  const siblings = [...(registry.functions.get(module)?.keys() ?? [])]
  return new UnregisteredTaskError(
    `Expected function ${plainLine(name)} of module ${plainLine(module)} to be registered here, it is not; ` +
      (siblings.length > 0 ? `known of ${plainLine(module)}: ${siblings.slice(0, 10).join(', ')}; ` : '') +
      'import the module that calls queueable() for it, or name it by ptq poll --load',
  )
}

/** The error for a class that no module registered here. */
export function unregisteredClass(name: string): UnregisteredTaskError {
  const shown = plainLine(name)
  return new UnregisteredTaskError(
    `Expected class ${shown} to be registered here, it is not; import the module that calls registerTask(${shown}), or name it by ptq poll --load`,
  )
}
