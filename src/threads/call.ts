/** A task made ready to run, on a pool thread or inline: its code found, its arguments in JSON form. */
import { argumentError, UnregisteredTaskError } from '../errors/errors.js'
import { maxDepth, toJsonValue } from '../json/json.js'
import type { JsonValue } from '../json/json-value.js'
import { checkArity, hasKeys } from '../tasks/call-code.js'
import { isClassPayload, isFunctionPayload, type Payload } from '../tasks/payload.js'
import {
  findClass,
  findFunction,
  type RegisteredClass,
  type RegisteredCode,
  type RegisteredFunction,
  registeredClass,
  registeredFunction,
  unregisteredClass,
  unregisteredFunction,
} from '../tasks/registry.js'
import { type BareTask, FunctionTask, isTask, notATask, type TaskInput } from '../tasks/task.js'
import { toPayload } from '../tasks/task-payload.js'

/** A task ready to run. */
export interface Call {
  /** The task as the user gave it, for errors and results; a pair has its extra arguments. */
  readonly task: unknown
  readonly code: RegisteredCode
  /** A function's positional arguments, or a class's fields; in the form that JSON gives back. */
  readonly input: readonly JsonValue[] | Readonly<Record<string, JsonValue>>
  /** Python's keyword arguments, if there are any. */
  readonly kwargs: Readonly<Record<string, JsonValue>> | undefined
  /** Extra arguments for `execute`; cloned, not turned into JSON, when they cross to a thread. */
  readonly extra: readonly unknown[]
  /** The id, without the prefix that all tasks of the run share. */
  readonly idSuffix: string | number
  /** From 1. */
  readonly attempt: number
}

/** The outcome of a call. */
export type Outcome = { readonly ok: true; readonly value: unknown; readonly elapsedMs: number } | FailedOutcome

/** A failed {@link Outcome}. */
export interface FailedOutcome {
  readonly ok: false
  /** The error that the task threw, or that ended it. */
  readonly error: unknown
  readonly elapsedMs: number
  /**
   * Set where the task did not run, because its file could not be loaded: in how many new threads, one after the other,
   * and how long until the next may try.
   */
  readonly notLoaded?: { readonly failures: number; readonly retrySeconds: number }
}

const noExtra: readonly unknown[] = []

/**
 * Makes a task ready to run.
 * @param task what results and errors carry. Default: what was given
 * @throws TypeError if it is no task or JSON can't carry an argument; UnregisteredTaskError if its code isn't known here
 */
export function toCall(given: TaskInput, idSuffix: string | number, attempt: number, task?: unknown): Call {
  const { bare, extra } = splitExtra(given)
  const code = findCode(bare)
  let input: Call['input']
  let kwargs: Call['kwargs']
  if (code.kind === 'class') {
    const { class: _name, ...fields } = isTask(bare)
      ? (bare.payload() as { class: string })
      : (toPayload(bare) as { class: string })
    input = fields
  } else {
    // Straight from the task's fields, without a payload in between: this runs once for each of millions of tasks.
    const { args, kwargs: keywords } = functionInput(bare)
    kwargs = hasKeys(keywords) ? (toJsonValue(keywords, 'kwargs') as Record<string, JsonValue>) : undefined
    checkArity(code, args.length + extra.length, kwargs !== undefined)
    input = toJsonValue(args, 'args') as JsonValue[]
  }
  return { task: task ?? given, code, input, kwargs, extra, idSuffix, attempt }
}

/** What a call runs. */
export type CallBody = Pick<Call, 'code' | 'input' | 'kwargs' | 'extra'>

/**
 * What the payload of a task from a queue runs. It was parsed from JSON, so it is in that form already.
 *
 * @param textLength the length of the payload's JSON text
 * @param extra extra arguments for `execute`
 * @throws as {@link toCall}
 */
export function payloadBody(payload: Payload, textLength: number, extra: readonly unknown[]): CallBody {
  // Each level takes two characters: in so short a text there can't be too many.
  if (textLength >= 2 * maxDepth) toJsonValue(payload, 'payload')
  if (!Array.isArray(payload)) {
    const { class: name, ...input } = payload
    return { code: classCode(name), input, kwargs: undefined, extra }
  }
  const [[module, name], input, keywords] = payload
  const code = functionCode(module, name)
  const kwargs = hasKeys(keywords) ? keywords : undefined
  checkArity(code, input.length + extra.length, kwargs !== undefined)
  return { code, input, kwargs, extra }
}

/** What a task that was made here runs, without a payload in between. @throws as {@link toCall} */
export function functionBody(task: FunctionTask, extra: readonly unknown[]): CallBody {
  const { key, args, kwargs: keywords } = task
  const code = functionCode(key[0], key[1])
  const kwargs = hasKeys(keywords) ? (toJsonValue(keywords, 'kwargs') as Record<string, JsonValue>) : undefined
  checkArity(code, args.length + extra.length, kwargs !== undefined)
  return { code, input: toJsonValue(args, 'args') as JsonValue[], kwargs, extra }
}

/**
 * Checks that a task's code is known here and the number of its arguments, without reading them: cheap enough for a
 * whole array before the first task runs.
 * @returns the code
 * @throws as {@link toCall}
 */
export function checkTask(given: TaskInput): RegisteredCode {
  const { bare, extra } = splitExtra(given)
  const code = findCode(bare)
  if (code.kind === 'function') {
    const { args, kwargs } = functionInput(bare)
    checkArity(code, args.length + extra.length, hasKeys(kwargs))
  }
  return code
}

function splitExtra(given: TaskInput): { bare: BareTask; extra: readonly unknown[] } {
  if (!Array.isArray(given) || isFunctionPayload(given)) return { bare: given as BareTask, extra: noExtra }
  const pair: readonly unknown[] = given
  if (pair.length !== 2 || !Array.isArray(pair[1])) {
    throw argumentError('task', 'a task, or a pair [task, array of extra arguments]', given)
  }
  return { bare: pair[0] as BareTask, extra: pair[1] }
}

function findCode(bare: BareTask): RegisteredCode {
  if (bare instanceof FunctionTask) return functionCode(bare.key[0], bare.key[1])
  if (isFunctionPayload(bare)) return functionCode(bare[0][0], bare[0][1])
  if (typeof bare === 'function') {
    const code = registeredFunction(bare)
    if (code !== undefined) return code
    throw new UnregisteredTaskError(
      `Expected function ${bare.name || '(anonymous)'} to be registered; ` +
        'write `export const f = queueable(function f() {…})` in a module of its own and insert that',
    )
  }
  if (isTask(bare)) {
    const known = registeredClass(bare.constructor)
    if (known !== undefined) return known
    // A FunctionTask made by another copy of this module has a key; anything else is a class that was not registered.
    const key: unknown = (bare as { key?: unknown }).key
    if (Array.isArray(key)) return functionCode(String(key[0]), String(key[1]))
    throw unregisteredClass(bare.constructor.name)
  }
  if (isClassPayload(bare)) return classCode(bare.class)
  throw notATask('task', bare)
}

function functionCode(module: string, name: string): RegisteredFunction {
  const code = findFunction(module, name)
  if (code === undefined) throw unregisteredFunction(module, name)
  return code
}

function classCode(name: string): RegisteredClass {
  const code = findClass(name)
  if (code === undefined) throw unregisteredClass(name)
  return code
}

function functionInput(bare: BareTask): { args: readonly unknown[]; kwargs: Readonly<Record<string, unknown>> } {
  if (isFunctionPayload(bare)) return { args: bare[1], kwargs: bare[2] }
  return typeof bare === 'function' ? { args: [], kwargs: {} } : (bare as FunctionTask)
}
