/**
 * The digest of a sequence's fields, the same in each process that has the same values. Not that of `v8.serialize`: its bytes
 * depend on the backend's representation (600 as an integer or as a double, an array with or without room for holes), which
 * depends on what the process did before.
 */

import { createHash, type Hash } from 'node:crypto'
import { types } from 'node:util'
import { serialize } from 'node:v8'

/** Sixteen hexadecimal digits. @param fields data that can be cloned */
export function digestOf(fields: Readonly<Record<string, unknown>>): string {
  const hash = createHash('sha256')
  new Writer(hash).write(fields)
  return hash.digest('hex').slice(0, 16)
}

class Writer {
  readonly #hash: Hash
  /** Objects that were visited, each with its number: cloneable data may contain itself. */
  readonly #begun = new Map<object, number>()

  constructor(hash: Hash) {
    this.#hash = hash
  }

  write(value: unknown): void {
    if (typeof value === 'object' && value !== null) this.#writeObject(value)
    else this.#hash.update(`${typeof value} ${textOf(value)};`)
  }

  #writeObject(value: object): void {
    const before = this.#begun.get(value)
    if (before !== undefined) {
      this.#hash.update(`again ${before};`)
      return
    }
    this.#begun.set(value, this.#begun.size)
    if (Array.isArray(value)) this.#writeItems('array', value)
    else if (types.isMap(value)) this.#writeItems('map', [...value].flat())
    else if (types.isSet(value)) this.#writeItems('set', [...value])
    else if (ArrayBuffer.isView(value)) {
      this.#writeBytes(value.constructor.name, new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
    } else if (types.isAnyArrayBuffer(value)) {
      this.#writeBytes('buffer', new Uint8Array(value))
    } else if (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null) {
      this.#writeItems('object', Object.entries(value).flat())
    } else {
      // Dates, expressions, errors, boxed values: they hold no numbers of more than one form.
      this.#writeBytes(value.constructor.name, serialize(value))
    }
  }

  #writeItems(kind: string, items: readonly unknown[]): void {
    this.#hash.update(`${kind} ${items.length}:`)
    for (const item of items) this.write(item)
  }

  #writeBytes(kind: string, bytes: Uint8Array): void {
    this.#hash.update(`${kind} ${bytes.length}:`).update(bytes)
  }
}

/** Text of a primitive, unique per value: strings have their length in front. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return `${value.length}:${value}`
  return Object.is(value, -0) ? '-0' : String(value)
}
