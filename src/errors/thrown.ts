/**
 * Reads thrown and awaited values without assuming their shape or realm. A value of another realm (Jest's and vitest's
 * contexts, `node:vm`) is no instance of this realm's classes, and a thrown value may throw when it is read: no other
 * file uses `instanceof` for a built-in class, or formats a thrown value by itself.
 */
import { inspect, types } from 'node:util'
import { builtins } from '../runtime/builtins.js'
import { counted } from '../text/counted.js'

/** A text from a thrown value is cut off here: a message may be as long as memory allows. */
const maxTextLength = 10_000

/** Maximum number of errors that a summary names. */
const maxSummaryParts = 10

/** An object with more entries than this, those of its values included, is shown by its top level alone, or by its size. */
const maxShownEntries = 1000

/**
 * True if a value is an error, of any realm and class; decided by `name`, `message` and `stack` if nothing else does.
 */
export function isError(value: unknown): value is Error {
  if (typeof value !== 'object' || value === null) return false
  if (types.isNativeError(value)) return true
  try {
    if (value instanceof builtins.Error) return true
    const { name, message, stack } = value as { name?: unknown; message?: unknown; stack?: unknown }
    return typeof name === 'string' && typeof message === 'string' && typeof stack === 'string'
  } catch {
    // A revoked proxy, or a getter that throws: it can't be read as an error.
    return false
  }
}

/** True if `await` would wait for a value. @throws what its getter `then` throws, as `await` would */
export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  return typeof (value as { then?: unknown }).then === 'function'
}

/** `instanceof` for a class of ours or the caller's; false for a revoked proxy, instead of a TypeError. */
export function isInstanceOf<T>(value: unknown, Class: abstract new (...args: never[]) => T): value is T {
  try {
    return value instanceof Class
  } catch {
    return false
  }
}

/** True if a value can be listened to as an AbortSignal, of any realm. */
export function isAbortSignal(value: unknown): value is AbortSignal {
  if (typeof value !== 'object' || value === null) return false
  const { aborted, addEventListener } = value as { aborted?: unknown; addEventListener?: unknown }
  return typeof aborted === 'boolean' && typeof addEventListener === 'function'
}

/** True if an error is of a built-in class, of any realm; also of a class that extends it and keeps its name. */
export function isErrorNamed(value: unknown, name: string): value is Error {
  return isError(value) && textAt(value, 'name') === name
}

/** `error.code` where that is a text, e.g. `ENOENT`. */
export function codeOf(thrown: unknown): string | undefined {
  return isError(thrown) ? textAt(thrown, 'code') : undefined
}

/** The first of `error.errors` where that is a list, as an AggregateError has it. */
export function errorsOf(thrown: unknown): readonly unknown[] | undefined {
  const errors = isError(thrown) ? read(thrown, 'errors') : undefined
  const first: unknown[] = []
  try {
    if (!Array.isArray(errors)) return undefined
    for (let index = 0; index < errors.length && index <= maxSummaryParts; index++) first.push(errors[index])
  } catch {
    // A proxy: what it gave so far.
  }
  return first
}

/** An error, its cause, the cause's cause, …: each once, up to what is no error. */
export function causeChain(thrown: unknown): readonly Error[] {
  const chain = new Set<Error>()
  for (let error = thrown; isError(error) && !chain.has(error); error = read(error, 'cause')) chain.add(error)
  return [...chain]
}

/** The message of an error, or the text of any other thrown value. Never throws; at most 10,000 characters. */
export function messageOf(thrown: unknown, maxLength = maxTextLength): string {
  if (!isError(thrown)) return cut(textOf(thrown), maxLength)
  return cut(textAt(thrown, 'message') ?? textOf(read(thrown, 'message')), maxLength)
}

/** `name: message` of an error, or the text of any other thrown value. Never throws; at most 10,000 characters. */
export function nameAndMessageOf(thrown: unknown): string {
  if (!isError(thrown)) return messageOf(thrown)
  const message = messageOf(thrown)
  const name = nameOf(thrown)
  return message === '' ? name : cut(`${name}: ${message}`)
}

/**
 * An error with its code and the errors it was made of: `AggregateError: all failed; error: TypeError: one; cause: two`.
 * Each is named once, however many others refer to it. Never throws; at most 10,000 characters.
 */
export function summaryOf(thrown: unknown): string {
  const seen = new Set<unknown>()
  const found: unknown[] = []
  let summary = ''
  const note = (label: string, part: unknown) => {
    if (part === undefined || typeof part === 'function' || seen.has(part)) return
    if (typeof part === 'object') seen.add(part)
    if (found.length < maxSummaryParts) summary += label + describe(part)
    else if (found.length === maxSummaryParts) summary += '; …'
    found.push(part)
  }
  note('', thrown)
  // The loop also visits items that are pushed during it.
  for (const part of found) {
    if (found.length > maxSummaryParts || !isError(part)) continue
    for (const member of errorsOf(part) ?? []) {
      if (found.length > maxSummaryParts) break
      note('; error: ', member)
    }
    for (const key of ['error', 'suppressed', 'cause']) {
      if (has(part, key)) note(`; ${key}: `, read(part, key))
    }
  }
  return cut(summary)
}

function describe(thrown: unknown): string {
  const text = nameAndMessageOf(thrown)
  const code = codeOf(thrown)
  return code === undefined || text.includes(code) ? text : `${text} (${code})`
}

function has(object: object, key: string): boolean {
  try {
    return key in object
  } catch {
    return false
  }
}

/** The stack of an error if it has one, or the text of {@link nameAndMessageOf}. Never throws. */
export function stackOf(thrown: unknown): string {
  return cut((isError(thrown) ? textAt(thrown, 'stack') : undefined) ?? nameAndMessageOf(thrown))
}

/** The name of an error; never throws. */
export function nameOf(error: Error): string {
  return cut(textAt(error, 'name') ?? 'Error')
}

/** Something thrown as an error: itself, or an error that has its text as message and itself as cause. */
export function toError(thrown: unknown): Error {
  return isError(thrown) ? thrown : new builtins.Error(messageOf(thrown), { cause: thrown })
}

/** The value of a property, or a text that says that it throws. */
function read(object: object, key: string): unknown {
  try {
    return (object as Record<string, unknown>)[key]
  } catch (unreadable) {
    return `can't be read: ${textAt(Object(unreadable), 'message') ?? typeof unreadable}`
  }
}

function textAt(object: object, key: string): string | undefined {
  try {
    const value = (object as Record<string, unknown>)[key]
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}

/** The text of any value. Never throws, even if reading the value does. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  try {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return String(value)
    // An object with a text of its own (e.g. a URL) says more by it than by its properties.
    const own = typeof value === 'function' || types.isProxy(value) ? '' : String(value)
    if (own !== '' && !/^\[object .*\]$/.test(own) && !Array.isArray(value)) return own
  } catch {
    // Shown by its properties then.
  }
  return shown(value as object)
}

function shown(value: object): string {
  try {
    const entries = countEntries(value, 1, maxShownEntries + 1)
    const depth = entries > maxShownEntries ? 0 : 1
    if (depth === 0 && countEntries(value, 0, maxShownEntries + 1) > maxShownEntries) {
      return `a value with more than ${maxShownEntries} entries`
    }
    return inspect(value, {
      depth,
      breakLength: Number.POSITIVE_INFINITY,
      maxArrayLength: 20,
      maxStringLength: 1000,
      getters: false,
    })
  } catch {
    return "a value that can't be shown"
  }
}

/** The number of entries of an object, with those of its values down to `depth`; counts no further than `max`. */
function countEntries(value: unknown, depth: number, max: number): number {
  // A proxy is shown by its target, without calling its traps; of a list the first 20 are shown.
  if (typeof value !== 'object' || value === null || types.isProxy(value) || ArrayBuffer.isView(value)) return 0
  const keys = Array.isArray(value) ? Object.keys(value.slice(0, 20)) : Object.getOwnPropertyNames(value)
  let count = keys.length
  for (const key of keys) {
    if (depth === 0 || count > max) break
    const property = Object.getOwnPropertyDescriptor(value, key)
    if (property !== undefined && 'value' in property) count += countEntries(property.value, depth - 1, max - count)
  }
  return count
}

/** Cuts text off at a maximum length, and says so. */
export function cut(text: string, maxLength = maxTextLength): string {
  if (text.length <= maxLength) return text
  return `${text.slice(0, maxLength)}… (${counted(text.length - maxLength, 'character')} more)`
}
