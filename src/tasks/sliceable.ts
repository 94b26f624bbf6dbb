/**
 * Sliceable sequences: like an array, with `length`, `slice` and an iterator, but their tasks are made when they are
 * iterated. `insert(sequence, { parallel })` sends slices to threads, never tasks.
 */

import { argumentError } from '../errors/errors.js'
import { callerOf } from './caller.js'
import { refuseSecond } from './registry.js'
import type { BareTask } from './task.js'

/** A sequence of tasks that can be sliced. */
export interface Sliceable<T extends BareTask = BareTask> extends Iterable<T> {
  /** The number of tasks: an integer of 0 or more. */
  readonly length: number
  /** The tasks `[start, end)`, with 0 <= start <= end <= length; as an object that can be iterated once or more. */
  slice(start: number, end: number): Iterable<T> | AsyncIterable<T>
}

/** A class of sliceable sequences. */
export type SliceableClass = abstract new (...args: never[]) => Sliceable

/** Overrides of what `sliceable` finds out by itself. */
export interface SliceableOptions {
  /** The name by which threads find the class. Default: the name of the class. */
  readonly name?: string
  /** `import.meta.url` of the module that threads import to get the class. Default: the one that is loaded when `sliceable` is called. */
  readonly url?: string
}

/** A class known by its name. */
export interface RegisteredSliceable {
  readonly name: string
  readonly class: SliceableClass
  /** `file:` URL of the module that registered it; `undefined` where that isn't a file (REPL, `--eval`). */
  readonly url: string | undefined
}

interface SliceableRegistry {
  readonly byName: Map<string, RegisteredSliceable>
  readonly byClass: WeakMap<object, RegisteredSliceable>
}

// On `globalThis` for the same reason as the registry of tasks: a process may hold two copies of this module.
const registryKey = Symbol.for('ptq.sliceables.1')
const holder = globalThis as { [registryKey]?: SliceableRegistry }
holder[registryKey] ??= { byName: new Map(), byClass: new WeakMap() }
const registry: SliceableRegistry = holder[registryKey]

/**
 * Registers a class of sliceable sequences: `sliceable(PrintTasks)`, or `@sliceable` on the class, at the top level of a
 * module that threads can import.
 *
 * A thread gets the object's own fields (structured clone) and rebuilds it without calling the constructor, so
 * everything that `slice` and the iterator need has to be in public fields: `#private` ones are not cloned.
 *
 * @returns the class itself
 * @throws TypeError if `Class` has no `slice`, `length` and iterator, or no name; Error if another class has the name already
 */
export function sliceable<C extends SliceableClass>(
  Class: C,
  options: SliceableOptions | ClassDecoratorContext = {},
): C {
  const prototype: unknown = typeof Class === 'function' ? Class.prototype : undefined
  if (!hasMethods(prototype)) {
    throw argumentError('Class', 'a class with `slice(start, end)`, `length` and an iterator', Class)
  }
  const given = 'kind' in options ? {} : options
  const name = given.name ?? Class.name
  if (typeof name !== 'string' || name === '') {
    throw argumentError('Class', 'a class with a name; write `class Name …` or pass `{ name }`', Class)
  }
  const url = given.url ?? callerOf(sliceable).module
  const known = registry.byName.get(name)
  // A class of this package from another copy of it (a command installed globally, and the project's own): the newer
  // one is used.
  const ours = name.startsWith('ptq.')
  if (known !== undefined && known.class !== Class && !ours)
    refuseSecond(`sliceable class ${name}`, known, url, known.class, Class)
  const entry: RegisteredSliceable = { name, class: Class, url }
  registry.byName.set(name, entry)
  registry.byClass.set(Class, entry)
  return Class
}

/** `length` may be a field, which only an object shows. */
function hasMethods(prototype: unknown): boolean {
  if (typeof prototype !== 'object' || prototype === null) return false
  const { slice } = prototype as { slice?: unknown }
  return typeof slice === 'function' && (Symbol.iterator in prototype || Symbol.asyncIterator in prototype)
}

/** The class under a name, if this thread has it. */
export function findSliceable(name: string): RegisteredSliceable | undefined {
  return registry.byName.get(name)
}

/** The registration of the class of this object. */
export function registeredSliceable(object: object): RegisteredSliceable | undefined {
  const Class: unknown = object.constructor
  return typeof Class === 'function' ? registry.byClass.get(Class) : undefined
}

/** Rebuilds a sequence without calling its constructor. */
export function rebuildSequence(registered: RegisteredSliceable, fields: Readonly<Record<string, unknown>>): Sliceable {
  const Class: SliceableClass = registered.class
  return Object.assign(Object.create(Class.prototype) as Sliceable, fields)
}
