/**
 * Tasks: calls of a registered function with its arguments, or of a registered class with its fields; and their
 * conversion to a payload (JSON that Python reads too) and back.
 */

import { argumentError } from '../errors/errors.js'
import { stringifyJson, toJsonValue } from '../json/json.js'
import type { JsonValue } from '../json/json-value.js'
import { callFunction, checkArity, hasKeys } from './call-code.js'
import type { JsonSafe } from './json-safe.js'
import {
  type ClassPayload,
  type FunctionKey,
  type FunctionPayload,
  isFunctionKey,
  isRecord,
  type Payload,
} from './payload.js'
import { findFunction, registeredClass, unregisteredClass, unregisteredFunction } from './registry.js'

/** A task: an object with a payload that can be executed. */
export interface Task<R = unknown> {
  /** The task as JSON, the same in every language. */
  payload(): Payload
  /** Runs it. `extra` are arguments that follow its own and are in no payload. */
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

/** Shared by all tasks without keyword arguments: there are millions. */
const noKwargs: Readonly<Record<string, unknown>> = Object.freeze({})

/** Names of the two kinds of arguments in errors. */
const argsField = { name: 'args' } as const
const kwargsField = { name: 'kwargs' } as const

/**
 * A call of a registered function. Usually made by {@link partial}; made by hand for a function that only another
 * process, or Python, has: `new FunctionTask(['mylib.tasks', 'segment'], [1], { mip: 2 })`.
 *
 * `Rest` are the parameters still to be given (`[]`: ready to run); `R` is the return type of the function.
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
    const args = stringifyJson(this.args, argsField)
    const kwargs = this.kwargs === noKwargs ? '{}' : stringifyJson(this.kwargs, kwargsField)
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
 * its payload by `new Class(fields)`, so a constructor must take the fields as its only argument.
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

/** True if an object can be treated as a task; by shape, since another copy of this module may have made it. */
export function isTask(value: unknown): value is Task {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<Task>).payload === 'function' &&
    typeof (value as Partial<Task>).execute === 'function'
  )
}

/** The error for an invalid task. */
export function notATask(name: string, got: unknown): TypeError {
  return argumentError(
    name,
    'a task (partial(fn, …), an object of a registered class), a registered function, or a payload',
    got,
  )
}
