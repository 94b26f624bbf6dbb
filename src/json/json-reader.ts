/**
 * A strict JSON reader for texts that `JSON.parse` can't read without loss: long integers become `bigint`, and the bare
 * words of Python (`NaN`, `Infinity`, `-Infinity`) are numbers. Everything else is as in `JSON.parse`. It keeps its own
 * stack, so nesting is bounded by memory alone, and it tracks its position for error messages.
 */
import { type JsonObject, type JsonValue, setOwn } from './json-value.js'

const numberPattern = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const escapePattern = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y
const words = new Map<string, JsonValue>([
  ['true', true],
  ['false', false],
  ['null', null],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
])
const wordPattern = /true|false|null|NaN|-?Infinity/y

/** To read more takes time that grows with their square. Source: Python's sys.int_info.default_max_str_digits. */
const maxDigits = 4300

/** The number of characters that an error shows on either side of the position. */
const excerptLength = 20

/** Reads one text; an instance is used once. */
export class JsonReader {
  readonly #text: string
  /** The error of JSON.parse for the same text, used as `cause`. */
  readonly #cause: unknown
  #position = 0

  constructor(text: string, cause?: unknown) {
    this.#text = text
    this.#cause = cause
  }

  /** @throws SyntaxError with the position and an excerpt, if the text is not JSON */
  read(): JsonValue {
    const open: (JsonValue[] | JsonObject)[] = []
    const keys: string[] = []
    for (;;) {
      let value = this.#begin()
      if (value === openList) {
        open.push([])
        continue
      }
      if (value === openObject) {
        open.push({})
        keys.push(this.#key())
        continue
      }
      // A value is complete: put it where it belongs, and close what it was the last of.
      for (;;) {
        const parent = open.at(-1)
        if (parent === undefined) {
          if (this.#next() !== '') throw this.#error('the end of the text')
          return value
        }
        if (Array.isArray(parent)) parent.push(value)
        else setOwn(parent, keys.pop() ?? '', value)

        const close = Array.isArray(parent) ? ']' : '}'
        const next = this.#next()
        if (next !== ',' && next !== close) throw this.#error(`\`,\` or \`${close}\``)
        this.#position++
        if (next === ',') {
          if (!Array.isArray(parent)) keys.push(this.#key())
          break
        }
        open.pop()
        value = parent
      }
    }
  }

  /** A value without parts, or the sign that a list or an object with parts begins. */
  #begin(): JsonValue | typeof openList | typeof openObject {
    const first = this.#next()
    if (first === '"') return this.#string()
    if (first === '[' || first === '{') {
      this.#position++
      if (this.#next() !== (first === '[' ? ']' : '}')) return first === '[' ? openList : openObject
      this.#position++
      return first === '[' ? [] : {}
    }
    const word = this.#match(wordPattern)?.[0]
    if (word !== undefined) return words.get(word) ?? null
    const number = this.#match(numberPattern)
    if (number === null) throw this.#error('a value')
    const [digits, fraction, exponent] = number
    if (digits.length > maxDigits) throw this.#error(`a number of at most ${maxDigits} digits (Python reads no more)`)
    const value = Number(digits)
    return fraction === undefined && exponent === undefined && !Number.isSafeInteger(value) ? BigInt(digits) : value
  }

  #key(): string {
    if (this.#next() !== '"') throw this.#error('a key in double quotes')
    const key = this.#string()
    if (this.#next() !== ':') throw this.#error('`:`')
    this.#position++
    return key
  }

  #string(): string {
    const text = this.#text
    const start = this.#position
    let escaped = false
    for (let at = start + 1; ; at++) {
      const code = text.charCodeAt(at)
      if (code === 0x22) {
        this.#position = at + 1
        return escaped ? JSON.parse(text.slice(start, at + 1)) : text.slice(start + 1, at)
      }
      if (code === 0x5c) {
        this.#position = at
        if (this.#match(escapePattern) === null) throw this.#error('a valid escape')
        at = this.#position - 1
        escaped = true
      } else if (!(code >= 0x20)) {
        // Also NaN: the text ended.
        this.#position = at
        throw this.#error(at < text.length ? 'an escape for the control character' : 'the closing `"` of a string')
      }
    }
  }

  /** The next character that is not white space, not yet consumed; '' at the end. */
  #next(): string {
    const text = this.#text
    for (; ; this.#position++) {
      const code = text.charCodeAt(this.#position)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return text.charAt(this.#position)
    }
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#position
    const match = pattern.exec(this.#text)
    if (match !== null) this.#position = pattern.lastIndex
    return match
  }

  #error(expected: string): SyntaxError {
    const text = this.#text
    const at = this.#position
    // Control characters and halves of surrogate pairs would garble a terminal or a log.
    const show = (part: string) => part.replace(/\p{C}/gu, '\ufffd')
    const got = at < text.length ? `\`${show(String.fromCodePoint(text.codePointAt(at) ?? 0))}\`` : 'the end'
    const from = Math.max(0, at - excerptLength)
    const to = Math.min(text.length, at + excerptLength)
    const excerpt = `${from > 0 ? '…' : ''}${show(text.slice(from, to))}${to < text.length ? '…' : ''}`
    const options = this.#cause === undefined ? undefined : { cause: this.#cause }
    return new SyntaxError(`Expected JSON with ${expected} at position ${at}, got ${got} in \`${excerpt}\``, options)
  }
}

const openList = Symbol('[')
const openObject = Symbol('{')
