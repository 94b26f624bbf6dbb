/**
 * Tasks: calls of a registered function with its arguments, or of a registered class with its fields; and their
 * conversion to a payload (JSON that Python reads too) and back.
 */

import { argumentError, UnregisteredTaskError } from '../errors/errors.js'
import { stringifyJson, toJsonValue } from '../json/json.js'
import type { JsonValue } from '../json/json-value.js'
import { counted } from '../text/counted.js'
import type { JsonSafe, JsonSafeList, NotJson } from './json-safe.js'
import {
  type ClassPayload,
  type FunctionKey,
  type FunctionPayload,
  isClassPayload,
  isFunctionKey,
  isFunctionPayload,
  isRecord,
  type Payload,
} from './payload.js'
import {
  codeName,
  findClass,
  findFunction,
  type RegisteredClass,
  type RegisteredCode,
  type RegisteredFunction,
  registeredClass,
  registeredFunction,
  unregisteredClass,
  unregisteredFunction,
} from './registry.js'

/** A task: an object with a payload that can be executed. */
export interface Task<R = unknown> {
  /** The task in JSON's terms, the same in every language. */
  payload(): Payload
  /** Runs it. `extra` are arguments that come after its own and are in no payload. */
  execute(...extra: never[]): R
  /** Only for the compiler: refuses a {@link FunctionTask} that still needs arguments. */
  readonly missing?: (() => void) | undefined
}

/**
 * Anything that may be inserted or run: a task, a function that `queueable` registered and that needs no argument, a payload, or
 * a pair of one of these with the extra arguments for `execute`.
 */
export type TaskInput<R = unknown> = BareTask<R> | readonly [task: OpenTask<R>, extraArgs: readonly unknown[]]

/** A {@link TaskInput} without extra arguments. */
export type BareTask<R = unknown> = Task<R> | (() => R) | Payload

/**
 * The first item of a pair: the extra arguments may be the ones that are still missing. Unlike a task's own arguments,
 * which each task gets to itself, extra ones are shared by tasks of a thread, and with the caller at `parallel: 0`: they
 * are to be read only (or shared memory).
 */
export type OpenTask<R = unknown> = BareTask<R> | FunctionTask<never[], R> | ((...args: never[]) => R)

/** The type that running a task resolves with. */
export type TaskResult<T> = T extends readonly [infer Bare, readonly unknown[]]
  ? TaskResult<Bare>
  : T extends Pick<Task<infer R>, 'execute'>
    ? Awaited<R>
    : T extends (...args: never[]) => infer R
      ? Awaited<R>
      : unknown

/** Shared by all tasks that have none: there are millions. */
const noKwargs: Readonly<Record<string, unknown>> = Object.freeze({})

/** Names of the two kinds of arguments in errors. */
const ARGS = { name: 'args' } as const
const KWARGS = { name: 'kwargs' } as const

/**
 * A call of a registered function. Usually made by {@link partial}; made by hand for a function that only another
 * process, or Python, has: `new FunctionTask(['mylib.tasks', 'segment'], [1], { mip: 2 })`.
 *
 * `Rest` are the parameters still to be given (`[]`: ready to run); `R` is what the function returns.
 */
export class FunctionTask<Rest extends unknown[] = [], R = unknown> implements Task<R> {
  /** Module and name of the function. */
  readonly key: FunctionKey
  /** Positional arguments. */
  readonly args: readonly unknown[]
  /** Python's keyword arguments; a function here gets them as one last object argument, if there are any. */
  readonly kwargs: Readonly<Record<string, unknown>>
  /** Only for the compiler: a task that still needs arguments is not assignable to one that is ready. */
  declare readonly missing?: ((...rest: Rest) => void) | undefined

  /** @throws TypeError if the key is no pair of names, `args` no array or `kwargs` no plain object */
  constructor(key: FunctionKey, args: readonly unknown[] = [], kwargs: Readonly<Record<string, unknown>> = noKwargs) {
    if (!isFunctionKey(key)) throw argumentError('key', 'a pair of names, [module, function]', key)
    if (!Array.isArray(args)) throw argumentError('args', 'an array of the positional arguments', args)
    if (!isRecord(kwargs)) throw argumentError('kwargs', 'an object of the keyword arguments', kwargs)
    this.key = key
    this.args = args
    this.kwargs = kwargs
  }

  /**
   * The payload, e.g. `[['tasks', 'hash'], ['a.txt'], {}, -1]`.
   * @throws TypeError if JSON can't carry an argument (the message has the path to it) or if the function is registered
   * here and has more parameters than there are arguments
   */
  payload(): FunctionPayload {
    this.#checkArity()
    return [
      [this.key[0], this.key[1]],
      toJsonValue(this.args, 'args') as JsonValue[],
      toJsonValue(this.kwargs, 'kwargs') as Record<string, JsonValue>,
      -1,
    ]
  }

  /** The payload as JSON, in one pass over the arguments. @throws TypeError as {@link payload} */
  payloadText(): string {
    this.#checkArity()
    const args = stringifyJson(this.args, ARGS)
    const kwargs = this.kwargs === noKwargs ? '{}' : stringifyJson(this.kwargs, KWARGS)
    return `[${JSON.stringify(this.key)},${args},${kwargs},-1]`
  }

  #checkArity(): void {
    const known = findFunction(this.key[0], this.key[1])
    if (known !== undefined) checkArity(known, this.args.length, hasKeys(this.kwargs))
  }

  /**
   * Calls the function in this thread, with `extra` after the arguments of the task.
   * @throws UnregisteredTaskError if no module registered the function here
   */
  execute(...extra: unknown[]): R {
    const code = findFunction(this.key[0], this.key[1])
    if (code === undefined) throw unregisteredFunction(this.key[0], this.key[1])
    return callFunction(code, this.args, hasKeys(this.kwargs) ? this.kwargs : undefined, extra) as R
  }
}

/**
 * A task as a class: its fields are `args`, its work is `execute`. Register it with `registerTask`. It is rebuilt from
 * its payload by `new Class(fields)`, so a constructor of your own must take the fields as its one argument.
 */
export abstract class RegisteredTask<Args extends object = Record<string, unknown>> implements Task {
  /** The fields; what JSON can carry. */
  readonly args: Args

  /** @throws TypeError if `args` is no object */
  constructor(args: JsonSafe<Args>) {
    if (!isRecord(args)) throw argumentError('args', "an object of the task's fields", args)
    this.args = args as Args
  }

  /** The work. `extra` are the arguments of a pair `[task, extraArgs]`, or `executeArgs` of a worker. */
  abstract execute(...extra: never[]): unknown

  /**
   * The payload, e.g. `{ txt: 'hello', class: 'PrintTask' }`.
   * @throws UnregisteredTaskError if the class is not registered; TypeError if JSON can't carry a field
   */
  payload(): ClassPayload {
    const code = registeredClass(this.constructor)
    if (code === undefined) throw unregisteredClass(this.constructor.name)
    if (Object.hasOwn(this.args, 'class')) {
      throw new TypeError(`Expected the fields of ${code.name} to leave \`class\` free: payloads keep the name there`)
    }
    return { ...(toJsonValue(this.args, 'args') as Record<string, JsonValue>), class: code.name }
  }
}

/** A function that {@link partial} takes. */
type Callable = ((...args: never[]) => unknown) | FunctionTask<never[]>

/** The parameters that are still to be given, under their names. */
type ParametersOf<F> =
  F extends FunctionTask<infer Rest, unknown> ? Rest : F extends (...args: infer Args) => unknown ? Args : never

/** The same, as arguments that JSON carries. */
type ArgumentsOf<F> = JsonSafeList<ParametersOf<F>>

type ResultOf<F> = F extends FunctionTask<never[], infer R> ? R : F extends (...args: never[]) => infer R ? R : never

/** The parameters without the last one, the last two, …: what may be given so far. */
type PrefixOf<Args extends unknown[]> = number extends Args['length']
  ? Args
  : Args extends []
    ? []
    :
        | Args
        | PrefixOf<Args extends [...infer Init, infer _] ? Init : Args extends [...infer Init, (infer _)?] ? Init : []>

/** The parameters that come after those given. */
type RestOf<Args extends unknown[], Given extends unknown[]> = Given extends [unknown, ...infer More]
  ? Args extends [infer _, ...infer Rest]
    ? RestOf<Rest, More>
    : Args extends [(infer _)?, ...infer Rest]
      ? RestOf<Rest, More>
      : []
  : Args

/**
 * Binds arguments to a function that `queueable` registered: `partial(print, 'hello')` is a task.
 * May be nested, `partial(partial(f, 1), 2)`. The compiler checks the types, what JSON would change, and, when the task is
 * inserted, that none is missing.
 *
 * @throws UnregisteredTaskError if `fn` was not registered
 */
export function partial<F extends Callable>(
  fn: F,
  ...args: Required<ArgumentsOf<F>>
): FunctionTask<[], ResultOf<NoInfer<F>>>
// `Partial` puts an error at the argument that is wrong. It lets `undefined` through, so the result then needs an argument
// that no value can be.
export function partial<F extends Callable, Given extends Partial<ArgumentsOf<F>>>(
  fn: F,
  ...args: Given
): FunctionTask<
  NoInfer<Given> extends PrefixOf<ArgumentsOf<NoInfer<F>>>
    ? RestOf<ParametersOf<NoInfer<F>>, Given>
    : [missing: NotJson<'undefined is no argument'>],
  ResultOf<NoInfer<F>>
>
export function partial(fn: Callable, ...args: unknown[]): FunctionTask {
  if (fn instanceof FunctionTask) return new FunctionTask(fn.key, [...fn.args, ...args], fn.kwargs)
  if (typeof fn !== 'function') throw argumentError('fn', 'a function that `queueable` registered', fn)
  const code = registeredFunction(fn)
  if (code === undefined) {
    throw new UnregisteredTaskError(
      `Expected function ${fn.name || '(anonymous)'} to be registered; ` +
        'write `export const f = queueable(function f() {…})` in a module of its own and pass that',
    )
  }
  return new FunctionTask(code.key, args)
}

/**
 * Rebuilds a task from its payload.
 * @throws TypeError if `payload` is none; UnregisteredTaskError if its function or class is not registered here
 */
export function taskFromPayload(payload: unknown): FunctionTask | RegisteredTask {
  if (isFunctionPayload(payload)) {
    const [[module, name], args, kwargs] = payload
    if (findFunction(module, name) === undefined) throw unregisteredFunction(module, name)
    return new FunctionTask([module, name], args, kwargs)
  }
  if (isClassPayload(payload)) {
    const { class: name, ...fields } = payload
    const code = findClass(name)
    if (code === undefined) throw unregisteredClass(name)
    return rebuild(code, fields)
  }
  throw notATask('payload', payload)
}

/**
 * The payload of anything that may be inserted. Code that only another process has is fine: it is looked up where it runs.
 * @throws TypeError if `input` is no task; UnregisteredTaskError for a bare function or a class that is not registered
 */
export function toPayload(input: BareTask): Payload {
  if (isTask(input)) return input.payload()
  if (typeof input === 'function') return partial(input).payload()
  if (isFunctionPayload(input)) {
    const [[module, name], args, kwargs] = input
    return new FunctionTask([module, name], args, kwargs).payload()
  }
  if (isClassPayload(input)) return toJsonValue(input, 'payload') as ClassPayload
  throw notATask('task', input)
}

/** `stringifyJson(toPayload(input))`, for most tasks in one pass over their arguments. @throws as {@link toPayload} */
export function taskText(input: BareTask): string {
  return input instanceof FunctionTask && input.payload === FunctionTask.prototype.payload
    ? input.payloadText()
    : stringifyJson(toPayload(input))
}

/** Runs registered code: a function with its arguments, or `execute` of an object rebuilt from its fields. */
export function callCode(
  code: RegisteredCode,
  input: readonly unknown[] | Readonly<Record<string, unknown>>,
  kwargs: Readonly<Record<string, unknown>> | undefined,
  extra: readonly unknown[],
): unknown {
  if (code.kind === 'function') return callFunction(code, input as readonly unknown[], kwargs, extra)
  return (rebuild(code, input) as { execute(...extra: unknown[]): unknown }).execute(...extra)
}

function rebuild(code: RegisteredClass, fields: object): RegisteredTask {
  // Registered as a class of tasks that takes its fields: `registerTask` accepts nothing else.
  return new (code.class as new (fields: object) => RegisteredTask)(fields)
}

/** A function gets its arguments, then the extra ones, then Python's keywords as one object. */
function callFunction(
  code: RegisteredFunction,
  args: readonly unknown[],
  kwargs: Readonly<Record<string, unknown>> | undefined,
  extra: readonly unknown[],
): unknown {
  const fn = code.fn as (...args: unknown[]) => unknown
  if (kwargs === undefined) return extra.length === 0 ? fn(...args) : fn(...args, ...extra)
  return fn(...args, ...extra, kwargs)
}

/** Refuses a call with fewer arguments than `queueable` was told that the function needs. */
export function checkArity(code: RegisteredFunction, argCount: number, hasKwargs: boolean): void {
  const given = argCount + (hasKwargs ? 1 : 0)
  if (given < code.minArgs) {
    throw new TypeError(
      `Expected at least ${counted(code.minArgs, 'argument')} for ${codeName(code)}, got ${given}: add them by partial()`,
    )
  }
}

/** True if an object can be treated as a task; by shape, since another copy of this module may have made it. */
export function isTask(value: unknown): value is Task {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<Task>).payload === 'function' &&
    typeof (value as Partial<Task>).execute === 'function'
  )
}

/** The error for something that was given as a task and is none. */
export function notATask(name: string, got: unknown): TypeError {
  return argumentError(
    name,
    'a task (partial(fn, …), an object of a registered class), a registered function, or a payload',
    got,
  )
}

/** True if there is at least one own key: an empty `kwargs` is not passed on. */
export function hasKeys(record: object): boolean {
  for (const key in record) if (Object.hasOwn(record, key)) return true
  return false
}
