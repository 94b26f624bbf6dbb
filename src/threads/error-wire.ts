/**
 * Sends thrown values between threads. Structured clone keeps neither `name` nor `code` of a user-defined class, no
 * `errors`, and refuses an error that holds a function. Here errors, lists and plain objects become the nodes of a flat
 * graph: shared values stay shared, a cycle stays a cycle, and depth costs no stack on either side. All else is cloned,
 * or becomes text if that is not possible.
 */
import { types } from 'node:util'
import { cut, isError, messageOf, nameOf, textOf } from '../errors/thrown.js'
import { builtins } from '../runtime/builtins.js'
import { type Budget, smallClone } from './small-clone.js'

/** A value as it is, or the number of a node. */
type WireValue = { readonly value: unknown } | { readonly node: number }

interface WireProperty {
  readonly key: string
  readonly to: WireValue
  readonly enumerable: boolean
}

interface ErrorNode {
  readonly type: 'error'
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  /** The built-in class that it is of, or extends. */
  readonly native: string
  /** The names of its classes that are not built-in, the error's own first. */
  readonly classes: readonly string[]
  readonly properties: WireProperty[]
}

type WireNode =
  | ErrorNode
  | { readonly type: 'list'; readonly items: WireValue[] }
  | { readonly type: 'object'; readonly properties: WireProperty[] }

/** Something thrown, as plain, cloneable data. */
export interface WireError {
  readonly nodes: readonly WireNode[]
  readonly thrown: WireValue
}

/** Deeper values are left out: printing and cloning them here is recursive. */
const maxDepth = 100
/** All values together: nodes, entries, objects in what is cloned. */
const maxValues = 10_000
/** All text and buffers together, in characters and bytes. */
const maxLength = 4 << 20
/** Limit of one text, so that a long message leaves room for the rest. */
const maxTextLength = 1 << 20

/** Properties that are not enumerable, or getters of a class, where they are of use; `code` is enumerable in Node's errors. */
const known = ['code', 'cause', 'errors', 'error', 'suppressed']

/** Properties that the node has already; and `toString`, which as anything but a function would make printing throw. */
const carriedOtherwise = ['name', 'message', 'stack', 'toString']

// From `globalThis`, as not every version of Node has SuppressedError. An error named `toString` is an Error.
const natives = new Map<string, (message: string) => Error>([
  ...[Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map(
    Class => [Class.name, (message: string) => new Class(message)] as const,
  ),
  ['AggregateError', message => new AggregateError([], message)],
])
const { SuppressedError } = globalThis as {
  SuppressedError?: new (error: unknown, suppressed: unknown, message: string) => Error
}
if (SuppressedError !== undefined) {
  natives.set('SuppressedError', message => new SuppressedError(undefined, undefined, message))
}

/** Encodes a thrown value, up to the limits above. Never throws, even if reading the value does. */
export function errorToWire(thrown: unknown): WireError {
  return new Encoder().encode(thrown)
}

class Encoder {
  readonly #nodes: WireNode[] = []
  readonly #numbers = new Map<object, number>()
  /** Nodes whose values are not read yet, nearest first. */
  readonly #waiting: { readonly node: WireNode; readonly from: object; readonly depth: number }[] = []
  readonly #budget: Budget = { values: maxValues, length: maxLength }
  readonly #clones = new Map<object, unknown>()

  encode(thrown: unknown): WireError {
    const wire = { nodes: this.#nodes, thrown: this.#value(thrown, 0) }
    // The loop also visits items that are pushed during it.
    for (const { node, from, depth } of this.#waiting) {
      if (node.type === 'list') this.#takeItems(node.items, from as readonly unknown[], depth)
      else this.#takeProperties(node.properties, from, depth, node.type === 'error' ? known : [])
    }
    return wire
  }

  #value(value: unknown, depth: number): WireValue {
    this.#budget.values--
    if (typeof value === 'string') return { value: this.#text(value) }
    if (typeof value === 'symbol' || typeof value === 'function') return { value: this.#text(textOf(value)) }
    if (typeof value !== 'object' || value === null) return { value }
    const seen = this.#numbers.get(value)
    if (seen !== undefined) return { node: seen }
    const kind = kindOf(value)
    if (kind === undefined) return { value: this.#clone(value) }
    if (depth > maxDepth || this.#budget.values <= 0) return { value: this.#text(`left out: ${messageOf(value)}`) }
    const node = this.#node(kind, value)
    const number = this.#nodes.push(node) - 1
    this.#numbers.set(value, number)
    this.#waiting.push({ node, from: value, depth: depth + 1 })
    return { node: number }
  }

  #node(kind: WireNode['type'], value: object): WireNode {
    if (kind === 'error') return this.#error(value as Error)
    return kind === 'list' ? { type: kind, items: [] } : { type: kind, properties: [] }
  }

  #error(error: Error): ErrorNode {
    const stack = read(error, 'stack')
    const name = nameOf(error)
    const names = classNames(error)
    return {
      type: 'error',
      name,
      message: this.#text(messageOf(error, Number.POSITIVE_INFINITY)),
      stack: typeof stack === 'string' ? this.#text(stack) : undefined,
      native: names.find(name => name !== 'Error' && natives.has(name)) ?? name,
      classes: names.filter(name => !natives.has(name)),
      properties: [],
    }
  }

  #takeProperties(properties: WireProperty[], from: object, depth: number, alsoHidden: readonly string[]): void {
    const keys = keysOf(from)
    for (const key of keys) {
      if (alsoHidden.length > 0 && carriedOtherwise.includes(key)) continue
      if (this.#budget.values <= 0) break
      properties.push({ key, to: this.#value(read(from, key), depth), enumerable: true })
    }
    for (const key of alsoHidden) {
      if (keys.includes(key) || !has(from, key)) continue
      const value = read(from, key)
      // A method may have such a name.
      if (value === undefined || typeof value === 'function') continue
      properties.push({ key, to: this.#value(value, depth), enumerable: key === 'code' })
    }
  }

  #takeItems(items: WireValue[], from: readonly unknown[], depth: number): void {
    const said = read(from, 'length')
    const length = typeof said === 'number' ? said : 0
    for (let index = 0; index < length; index++) {
      if (this.#budget.values <= 0) {
        items.push({ value: `left out: ${length - index} more` })
        break
      }
      items.push(this.#value(read(from, index), depth))
    }
  }

  #clone(value: object): unknown {
    if (!this.#clones.has(value)) {
      this.#clones.set(value, smallClone(value, this.#budget) ?? this.#text(textOf(value)))
    }
    return this.#clones.get(value)
  }

  #text(text: string): string {
    const length = Math.min(text.length, maxTextLength, this.#budget.length)
    this.#budget.length -= length
    return cut(text, length)
  }
}

function kindOf(value: object): WireNode['type'] | undefined {
  try {
    if (isError(value)) return 'error'
    if (Array.isArray(value)) return 'list'
    const prototype: unknown = Object.getPrototypeOf(value)
    // In another realm it is another object, with the same methods.
    const plain = prototype === null || Object.getPrototypeOf(prototype) === null
    return plain && !types.isModuleNamespaceObject(value) && !types.isExternal(value) ? 'object' : undefined
  } catch {
    // A revoked proxy.
    return undefined
  }
}

function keysOf(object: object): readonly string[] {
  try {
    return Object.keys(object)
  } catch {
    return []
  }
}

function has(object: object, key: string): boolean {
  try {
    return key in object
  } catch {
    return false
  }
}

/** A property; where it throws, what it threw as text. */
function read(object: object, key: string | number): unknown {
  try {
    return (object as Record<string | number, unknown>)[key]
  } catch (unreadable) {
    return `can't be read: ${messageOf(unreadable)}`
  }
}

/**
 * Rebuilds a thrown value; errors get their built-in class if there is one (`instanceof TypeError` works), else
 * `Error`.
 */
export function errorFromWire({ nodes, thrown }: WireError): unknown {
  const made = nodes.map(node => (node.type === 'error' ? newError(node) : node.type === 'list' ? [] : {}))
  const valueAt = (wire: WireValue) => ('node' in wire ? made[wire.node] : wire.value)
  for (const [number, node] of nodes.entries()) {
    const object = made[number] as object
    if (node.type === 'list') for (const item of node.items) (object as unknown[]).push(valueAt(item))
    else for (const { key, to, enumerable } of node.properties) define(object, key, valueAt(to), enumerable)
  }
  return valueAt(thrown)
}

function newError({ name, message, stack, native, classes }: ErrorNode): Error {
  const error = natives.get(native)?.(message) ?? new builtins.Error(message)
  // Without one of its own it would have the stack of this function.
  define(error, 'stack', stack, false)
  if (error.name !== name) define(error, 'name', name, false)
  if (classes.length > 0) crossedClasses.set(error, classes)
  return error
}

function define(object: object, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable, configurable: true })
}

/** Classes that errors from another thread had there: here they have a built-in class. */
const crossedClasses = new WeakMap<Error, readonly string[]>()

/**
 * The names of an error's classes, its own first, without built-in ones; also of an error that came from another
 * thread, where its classes are lost.
 */
export function errorClasses(error: Error): readonly string[] {
  return crossedClasses.get(error) ?? classNames(error).filter(name => !natives.has(name))
}

/** The names of all classes of an error but `Object`, its own first. */
function classNames(error: Error): readonly string[] {
  const names: string[] = []
  try {
    for (let type: object | null = Object.getPrototypeOf(error); type !== null; type = Object.getPrototypeOf(type)) {
      const name: unknown = type.constructor?.name
      if (typeof name === 'string' && name !== 'Object' && names.length < maxDepth) names.push(name)
      if (names.length >= maxDepth) break
    }
  } catch {
    // A proxy that refuses.
  }
  return names
}
