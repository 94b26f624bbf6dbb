/** Calls registered code with the arguments of a task. */
import { counted } from '../text/counted.js'
import { codeName, type RegisteredClass, type RegisteredCode, type RegisteredFunction } from './registry.js'

/** Runs registered code: a function with its arguments, or `execute` of an object rebuilt from its fields. */
export function callCode(
  code: RegisteredCode,
  input: readonly unknown[] | Readonly<Record<string, unknown>>,
  kwargs: Readonly<Record<string, unknown>> | undefined,
  extra: readonly unknown[],
): unknown {
  if (code.kind === 'function') return callFunction(code, input as readonly unknown[], kwargs, extra)
  return rebuild(code, input).execute(...extra)
}

/** Makes an object of a registered class from its fields. */
export function rebuild(code: RegisteredClass, fields: object): { execute(...extra: unknown[]): unknown } {
  // Registered as a task class that takes its fields: `registerTask` accepts nothing else.
  return new code.class(fields as never) as { execute(...extra: unknown[]): unknown }
}

/** A function gets its arguments, then the extra ones, then Python's keywords as one object. */
export function callFunction(
  code: RegisteredFunction,
  args: readonly unknown[],
  kwargs: Readonly<Record<string, unknown>> | undefined,
  extra: readonly unknown[],
): unknown {
  const fn = code.fn as (...args: unknown[]) => unknown
  if (kwargs === undefined) return extra.length === 0 ? fn(...args) : fn(...args, ...extra)
  return fn(...args, ...extra, kwargs)
}

/** Refuses a call with fewer arguments than `minArgs` of `queueable`. */
export function checkArity(code: RegisteredFunction, argCount: number, hasKwargs: boolean): void {
  const given = argCount + (hasKwargs ? 1 : 0)
  if (given < code.minArgs) {
    throw new TypeError(
      `Expected at least ${counted(code.minArgs, 'argument')} for ${codeName(code)}, got ${given}: add them by partial()`,
    )
  }
}

/** True if there is at least one own key: an empty `kwargs` is not passed on. */
export function hasKeys(record: object): boolean {
  for (const key in record) if (Object.hasOwn(record, key)) return true
  return false
}
