/**
 * How an error crosses a thread. Structured clone keeps neither `name` nor `code` of a class of the user's own, and
 * refuses an error that holds a function; this keeps name, message, code, stack, cause and what else can be cloned.
 */
import { inspect } from 'node:util'

/** An error as plain, cloneable data; `thrown` where something else than an error was thrown. */
export type WireError =
  | {
      readonly name: string
      readonly message: string
      readonly stack: string | undefined
      /** Own properties besides: `code`, `errno`, `path`, … */
      readonly properties: Readonly<Record<string, unknown>>
      /** The names of its classes that JavaScript doesn't have itself, the error's own first. */
      readonly classes?: readonly string[]
      readonly cause?: WireError
      /** Of an AggregateError. */
      readonly errors?: readonly WireError[]
    }
  | { readonly thrown: unknown }

/** Causes are followed this deep: an error that is its own cause must end somewhere. */
const causeDepthLimit = 8

const nativeErrors = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError }

/** Takes whatever was thrown apart. Never throws, whatever getters the error has. */
export function errorToWire(thrown: unknown, depth = 0): WireError {
  try {
    if (!(thrown instanceof Error)) return { thrown: cloneable(thrown) }
    const properties: Record<string, unknown> = {}
    // Many classes have it as a getter.
    if ('code' in thrown) properties.code = cloneable(thrown.code)
    for (const [key, value] of Object.entries(thrown)) {
      if (key !== 'cause' && key !== 'errors') properties[key] = cloneable(value)
    }
    const follow = depth < causeDepthLimit
    const classes = errorClasses(thrown)
    return {
      name: String(thrown.name),
      message: String(thrown.message),
      stack: typeof thrown.stack === 'string' ? thrown.stack : undefined,
      properties,
      ...(classes.length > 0 && { classes }),
      ...(follow && thrown.cause !== undefined && { cause: errorToWire(thrown.cause, depth + 1) }),
      ...(follow &&
        thrown instanceof AggregateError && { errors: thrown.errors.map(error => errorToWire(error, depth + 1)) }),
    }
  } catch (unreadable) {
    return { thrown: `an error that can't be read: ${inspect(unreadable)}` }
  }
}

/** Puts an error together again: of the native class where there is one (`instanceof TypeError` works), else `Error`. */
export function errorFromWire(wire: WireError): unknown {
  if ('thrown' in wire) return wire.thrown
  const error =
    wire.errors === undefined
      ? new (nativeErrors[wire.name as keyof typeof nativeErrors] ?? Error)(wire.message)
      : new AggregateError(wire.errors.map(errorFromWire), wire.message)
  for (const [key, value] of Object.entries({ stack: wire.stack, name: wire.name })) {
    if (value !== undefined && error[key as 'stack' | 'name'] !== value) hide(error, key, value)
  }
  if (wire.classes !== undefined) crossedClasses.set(error, wire.classes)
  if (wire.cause !== undefined) hide(error, 'cause', errorFromWire(wire.cause))
  for (const [key, value] of Object.entries(wire.properties)) {
    Object.defineProperty(error, key, { value, writable: true, enumerable: true, configurable: true })
  }
  return error
}

/** The classes that errors from another thread had there: here they are of a native class. */
const crossedClasses = new WeakMap<Error, readonly string[]>()

/**
 * The names of an error's classes, its own first, without those that JavaScript has itself; also of an error that came
 * from another thread, where its classes are lost.
 */
export function errorClasses(error: Error): readonly string[] {
  const crossed = crossedClasses.get(error)
  if (crossed !== undefined) return crossed
  const names: string[] = []
  for (let type: unknown = Object.getPrototypeOf(error); type instanceof Error; type = Object.getPrototypeOf(type)) {
    const name = type.constructor.name
    if (!Object.hasOwn(nativeErrors, name) && name !== 'AggregateError') names.push(name)
  }
  return names
}

function hide(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, writable: true, enumerable: false, configurable: true })
}

function cloneable(value: unknown): unknown {
  if (typeof value !== 'object' && typeof value !== 'function' && typeof value !== 'symbol') return value
  try {
    return structuredClone(value)
  } catch {
    // What can't be cloned still says what it was.
    return inspect(value, { depth: 1 })
  }
}
