/** Structured clones of bounded size, of values that keep something when they are cloned. */
import { types } from 'node:util'
import { messageOf } from '../errors/thrown.js'
import { builtins } from '../runtime/builtins.js'

/** The rest of a budget; each use lowers it. */
export interface Budget {
  /** Objects and entries. */
  values: number
  /** Characters and bytes. */
  length: number
}

/**
 * Maximum number of objects in a cloned object, which bounds its depth too: the main thread's stack is the smaller one.
 */
const maxObjects = 1000

const dataInstead = 'use its data instead (the text of a URL, the entries of Headers)'

/** A clone; `undefined` where the value can't be cloned, nothing of it would be left, or it is more than the budget. */
export function smallClone(value: object, budget: Budget): object | undefined {
  try {
    if (byteLengthOf(value) > budget.length) return undefined
    const clone: object = builtins.structuredClone(value)
    return isEmptied(value, clone) || !take(clone, budget) ? undefined : clone
  } catch {
    return undefined
  }
}

/**
 * True if structured clone left nothing of an object: it copies only an object's own public fields, and turns a URL,
 * Headers, or an object of a class with `#private` fields into an empty object.
 */
export function isEmptied(value: object, clone: unknown): boolean {
  if (Object.prototype.toString.call(clone) !== '[object Object]' || Object.keys(clone as object).length > 0)
    return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype !== null && Object.getPrototypeOf(prototype) !== null
}

/**
 * Refuses a value that would arrive with an empty object in it, see {@link isEmptied}. Checks its first thousand parts:
 * larger values are mostly data.
 * @throws DOMException DataCloneError that names the class, as structured clone throws for what it can't take at all
 */
export function refuseEmptied(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  const parts = new Set<object>([value])
  for (const part of parts) {
    if (parts.size > maxObjects) return
    if (types.isMap(part)) for (const entry of part) entry.forEach(note, parts)
    else if (types.isSet(part)) part.forEach(note, parts)
    else if (Array.isArray(part)) part.slice(0, maxObjects).forEach(note, parts)
    else if (!ArrayBuffer.isView(part)) {
      const keys = Object.keys(part)
      if (
        keys.length === 0 &&
        isEmptied(part, Object.getPrototypeOf(part) === Object.prototype ? part : cloneOf(part))
      ) {
        throw new builtins.DOMException(
          `nothing would be left of an object of class ${part.constructor?.name}, which has no public fields; ${dataInstead}`,
          'DataCloneError',
        )
      }
      // A getter is called by structured clone, once: not here too.
      for (const key of keys) note.call(parts, Object.getOwnPropertyDescriptor(part, key)?.value)
    }
  }
}

/** Node's own message names no class. */
function cloneOf(part: object): unknown {
  try {
    return builtins.structuredClone(part)
  } catch (cause) {
    throw new builtins.DOMException(
      `an object of class ${part.constructor?.name} could not be cloned (${messageOf(cause)}); ${dataInstead}`,
      'DataCloneError',
    )
  }
}

function note(this: Set<object>, value: unknown): void {
  if (typeof value === 'object' && value !== null) this.add(value)
}

/** Takes a clone, which runs no code when it is read, from the budget; false if it is more. */
function take(clone: object, budget: Budget): boolean {
  const seen = new Set<object>([clone])
  let { values, length } = budget
  const note = (value: unknown) => {
    values--
    if (typeof value === 'string') length -= value.length
    else if (typeof value === 'object' && value !== null) seen.add(value)
  }
  // The loop also visits objects that are added during it.
  for (const object of seen) {
    length -= byteLengthOf(object)
    if (values < 0 || length < 0 || seen.size > maxObjects) return false
    if (types.isMap(object)) for (const entry of object) entry.forEach(note)
    else if (types.isSet(object)) object.forEach(note)
    if (ArrayBuffer.isView(object)) continue
    for (const key of Object.getOwnPropertyNames(object)) note((object as Record<string, unknown>)[key])
  }
  budget.values = values
  budget.length = length
  return true
}

function byteLengthOf(value: object): number {
  const { byteLength } = value as { byteLength?: unknown }
  return typeof byteLength === 'number' ? byteLength : 0
}
