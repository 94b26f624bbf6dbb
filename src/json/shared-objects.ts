/**
 * Objects that several calls of a chunk share. Structured clone keeps what is one object one object, so that a task that
 * changes its arguments would change those of its neighbours.
 */
import type { JsonValue } from './json-value.js'

/** Finds objects that it has seen before. */
export class SharedObjects {
  readonly #seen = new Set<object>()

  /** The object itself, or a copy if it, or some object in it, was seen before. */
  separate<T extends Readonly<Record<string, JsonValue>>>(object: T): T {
    return this.#isSeen(object) ? structuredClone(object) : object
  }

  /** The same for a list that is spread when it is used, so that only its items matter. */
  separateItems(list: readonly JsonValue[]): readonly JsonValue[] {
    for (const item of list) if (this.#isSeen(item)) return structuredClone(list)
    return list
  }

  #isSeen(item: JsonValue): boolean {
    if (typeof item !== 'object' || item === null) return false
    if (this.#seen.has(item)) return true
    this.#seen.add(item)
    for (const inner of Array.isArray(item) ? item : Object.values(item)) if (this.#isSeen(inner)) return true
    return false
  }
}
