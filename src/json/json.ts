/**
 * Lossless JSON, as Python's `json` writes and reads it: integers beyond 2^53 are `bigint`, `NaN`, `Infinity` and
 * `-Infinity` are bare words, `-0.0` keeps its sign. A number is written as an integer if it is a safe one (1.0 is 1);
 * a whole number beyond 2^53 is written as a float (`1e17` is `100000000000000000.0`): use `bigint` for large integers.
 */
import { types } from 'node:util'
import { argumentError } from '../errors/errors.js'
import { JsonReader } from './json-reader.js'
import { type JsonValue, setOwn } from './json-value.js'

/** The treatment of NaN, Infinity and -Infinity, which strict JSON doesn't have. */
export type NanPolicy = 'bare' | 'refuse' | 'null'

/**
 * The deepest nesting of a value. Python's reader gives up at its recursion limit, 994 levels measured with the default
 * one; the envelope needs some, and so do the caller's frames.
 */
export const maxDepth = 900

/**
 * An integer that may exceed 2^53: 16 digits, and not those behind a point, which are a fraction's. Two patterns and
 * `includes` for the words take half the time of one pattern with alternatives (220 ns instead of 430 for 230 characters).
 */
const longInteger = /[^.\d]\d{16}/
const longIntegerFirst = /^\d{16}/

/** True if JSON.parse might change or refuse a token. A match inside a string only costs the slower reader. */
function needsReader(text: string): boolean {
  return longInteger.test(text) || text.includes('NaN') || text.includes('Infinity') || longIntegerFirst.test(text)
}

/**
 * Reads a JSON text without loss: integers beyond 2^53 become `bigint`, and Python's bare `NaN`, `Infinity` and
 * `-Infinity` are numbers.
 *
 * @throws SyntaxError with the position and an excerpt, if the text is not JSON
 */
export function parseJson(text: string): JsonValue {
  if (typeof text !== 'string') throw argumentError('text', 'a string', text)
  if (needsReader(text)) return new JsonReader(text).read()
  try {
    return JSON.parse(text)
  } catch (cause) {
    // Its message has no position in half of the cases: the reader finds it, and throws.
    return new JsonReader(text, cause).read()
  }
}

/**
 * Writes a value as JSON, without loss: `bigint` as a bare integer, typed arrays as lists, a Date and other objects
 * with `toJSON` as that returns. A property that is `undefined` is left out.
 *
 * @param options.nan NaN and the infinities: `bare` (default) as in Python, though no strict JSON parser reads them;
 * `null`; or `refuse` them
 * @param options.name what the value is called in errors, e.g. `args` for `args[0].box`. Default `value`
 * @throws TypeError that names the path to what JSON can't carry: a function, a symbol, undefined in a list, an invalid
 *   Date, a Map, Set or other built-in object, a cycle, more than 900 levels
 */
export function stringifyJson(value: unknown, options: { nan?: NanPolicy; name?: string } = {}): string {
  const nan = options.nan ?? 'bare'
  if (nan !== 'bare' && nan !== 'refuse' && nan !== 'null') {
    throw argumentError('nan', "'bare', 'refuse' or 'null'", nan)
  }
  // Most tasks have a few plain arguments.
  if (Array.isArray(value) && isNativeList(value)) return JSON.stringify(value)
  const walk = new Walk(options.name ?? 'value', nan)
  const form = walk.form(value)
  return walk.native ? JSON.stringify(form) : write(form, nan)
}

/**
 * The JSON form of a value: what `parseJson(stringifyJson(value))` gives. A value that is in that form already is
 * returned as it is, not copied.
 *
 * @param path what the value is called in errors, e.g. `args`. Default `value`
 * @throws TypeError as {@link stringifyJson}
 */
export function toJsonValue(value: unknown, path = 'value'): JsonValue {
  if (isNative(value)) return value
  // Most tasks have a few plain arguments.
  if (Array.isArray(value) && isNativeList(value)) return value
  return new Walk(path, 'bare').form(value)
}

/** A primitive that JSON.stringify writes, and JSON.parse reads, as it is. */
function isNative(value: unknown): value is string | number | boolean | null {
  switch (typeof value) {
    case 'number':
      // -0 would lose its sign. Beyond 2^53 a whole number would come back as an integer, up to 1e21, where the exponent
      // begins. NaN fails every comparison.
      if (value > -(2 ** 53) && value < 2 ** 53) return value !== 0 || 1 / value > 0
      return Math.abs(value) >= 1e21 && Math.abs(value) <= Number.MAX_VALUE
    case 'string':
    case 'boolean':
      return true
    default:
      return value === null
  }
}

/** A list of such values without holes, which `every` would pass over. */
function isNativeList(list: readonly unknown[]): boolean {
  for (let index = 0; index < list.length; index++) if (!isNative(list[index])) return false
  return true
}

/** One pass over a value: checks it, and copies the parts that are not yet in JSON's form. */
class Walk {
  /** True if JSON.stringify can write all values so far. */
  native = true
  readonly #nan: NanPolicy
  readonly #root: string
  /** The path of keys to the current value, and the objects and lists that contain it. */
  readonly #path: (string | number)[] = []
  readonly #around: object[] = []

  constructor(root: string, nan: NanPolicy) {
    this.#root = root
    this.#nan = nan
  }

  form(value: unknown): JsonValue {
    if (isNative(value)) return value
    switch (typeof value) {
      case 'number':
        if (!Number.isFinite(value) && this.#nan === 'refuse') {
          throw this.#refuse(value, 'a finite number (`nan: "refuse"` is set; `bare` or `null` would write it)')
        }
        this.native = false
        return value
      case 'bigint': {
        // A small one reads back as a number.
        const number = Number(value)
        if (Number.isSafeInteger(number)) return number
        this.native = false
        return value
      }
      case 'object':
        // null is native.
        return value === null ? value : this.#object(value)
      case 'undefined':
        throw this.#refuse(value, 'a value that JSON has (use `null` for nothing)')
      case 'function':
        throw this.#refuse(value, 'a value that JSON has (data, not code)')
      default:
        throw this.#refuse(value, 'a value that JSON has (use a string)')
    }
  }

  #object(value: object): JsonValue {
    if (this.#around.length >= maxDepth) {
      throw this.#refuse(value, `at most ${maxDepth} levels deep (Python reads no more)`)
    }
    if (this.#around.includes(value)) throw this.#refuse(value, 'free of cycles (it contains itself)')
    this.#around.push(value)
    let form: JsonValue
    if (Array.isArray(value)) form = this.#list(value)
    else if (ArrayBuffer.isView(value) && !types.isDataView(value)) {
      form = this.#list(Array.from<number | bigint>(value as NodeJS.TypedArray))
    } else if ('toJSON' in value && typeof value.toJSON === 'function') {
      if (types.isDate(value) && Number.isNaN(value.getTime())) throw this.#refuse(value, 'a valid Date')
      const json: unknown = value.toJSON(String(this.#path.at(-1) ?? ''))
      // Its result is not converted again, as in JSON.stringify: an object that returns itself is written by its own
      // fields.
      form = json === value ? this.#fields(value) : this.form(json)
    } else form = this.#fields(value)
    this.#around.pop()
    return form
  }

  #list(list: readonly unknown[]): JsonValue[] {
    let copy: JsonValue[] | undefined
    for (let index = 0; index < list.length; index++) {
      const item = list[index]
      const form = isNative(item) ? item : this.#part(index, item)
      if (copy !== undefined) copy.push(form)
      else if (!Object.is(form, item)) copy = [...(list.slice(0, index) as JsonValue[]), form]
    }
    return copy ?? (list as JsonValue[])
  }

  #fields(object: object): JsonValue {
    const prototype: unknown = Object.getPrototypeOf(object)
    const plain = prototype === Object.prototype || prototype === null
    if (!plain) this.#refuseBuiltIn(object)
    const fields = object as { [key: string]: unknown }
    const keys = Object.keys(fields)
    let copy: { [key: string]: JsonValue } | undefined
    if (!plain) copy = {}
    for (let index = 0; index < keys.length; index++) {
      const key = keys[index] as string
      const item = fields[key]
      if (item === undefined) {
        copy ??= copyOf(fields, keys.slice(0, index))
        continue
      }
      const form = isNative(item) ? item : this.#part(key, item)
      if (copy === undefined && !Object.is(form, item)) copy = copyOf(fields, keys.slice(0, index))
      if (copy !== undefined) setOwn(copy, key, form)
    }
    return copy ?? (object as { [key: string]: JsonValue })
  }

  #part(key: string | number, value: unknown): JsonValue {
    this.#path.push(key)
    const form = this.form(value)
    this.#path.pop()
    return form
  }

  /** JSON.stringify writes `{}` for these, which loses what is in them. */
  #refuseBuiltIn(object: object): void {
    const tag = Object.prototype.toString.call(object).slice('[object '.length, -1)
    if (tag === 'Object') return
    const advice = builtInAdvice.get(tag) ?? 'use a plain object, or give it a `toJSON` method'
    throw this.#refuse(object, `a value that JSON has (${advice})`)
  }

  #refuse(got: unknown, expected: string): TypeError {
    const path = this.#path.map(key =>
      typeof key === 'string' && /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`,
    )
    // Of a path of hundreds of steps the two ends are enough.
    if (path.length > 40) path.splice(20, path.length - 40, '…')
    return argumentError(this.#root + path.join(''), expected, got)
  }
}

/** A copy of those fields; they are in JSON's form. */
function copyOf(fields: { [key: string]: unknown }, keys: readonly string[]): { [key: string]: JsonValue } {
  const copy: { [key: string]: JsonValue } = {}
  for (const key of keys) setOwn(copy, key, fields[key] as JsonValue)
  return copy
}

const builtInAdvice = new Map([
  ['Map', 'use `Object.fromEntries(map)` or `[...map]`'],
  ['Set', 'use `[...set]`'],
  ['ArrayBuffer', 'use `new Uint8Array(buffer)`, or a base64 string'],
  ['SharedArrayBuffer', 'use `new Uint8Array(buffer)`, or a base64 string'],
  ['DataView', 'use a typed array'],
  ['Promise', 'await it first'],
  ['RegExp', 'use its `source`'],
  ['Error', 'use its `message`'],
  ['Number', 'use the number itself'],
  ['String', 'use the string itself'],
  ['Boolean', 'use true or false'],
])

/** Writes a value in JSON's form that has parts which JSON.stringify can't write. */
function write(value: JsonValue, nan: NanPolicy): string {
  if (isNative(value)) return JSON.stringify(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return nan === 'null' ? 'null' : String(value)
    // The point makes it a float to every reader that distinguishes floats from integers.
    return Object.is(value, -0) ? '-0.0' : `${value}.0`
  }
  if (Array.isArray(value)) return `[${value.map(item => write(item, nan)).join(',')}]`
  const fields = Object.entries(value as { [key: string]: JsonValue })
  return `{${fields.map(([key, item]) => `${JSON.stringify(key)}:${write(item, nan)}`).join(',')}}`
}
