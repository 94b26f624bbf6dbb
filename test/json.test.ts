import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { parseJson, stringifyJson, toJsonValue } from '#ptq/json/json.js'
import { JsonReader } from '#ptq/json/json-reader.js'
import type { JsonValue } from '#ptq/json/json-value.js'

// The tests run from build/test; fixtures are not compiled.
const FIXTURES = join(import.meta.dirname, '../../test/fixtures/python-queue/queue')

const text = () => fc.string({ unit: fc.nat(0xffff).map(code => String.fromCharCode(code)) })
const key = () => fc.oneof(text(), fc.constantFrom('__proto__', 'NaN', '1', 'toString', 'length', ''))
const bigInteger = () =>
  fc
    .oneof(fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }), fc.bigInt())
    .filter(value => !Number.isSafeInteger(Number(value)))

/** Anything that is in JSON's form already, with all that plain JSON can't hold. */
const { value: anyJson } = fc.letrec<{ value: JsonValue; leaf: JsonValue }>(tie => ({
  leaf: fc.oneof(
    fc.double(),
    fc.maxSafeInteger(),
    fc.constantFrom(-0, 2 ** 53, -(2 ** 60), 1e17, 1e20, 1e21, 1e300, 5e-324, Number.NaN, Number.NEGATIVE_INFINITY),
    bigInteger(),
    text(),
    fc.constantFrom('NaN', '-Infinity', '12345678901234567890', '"18446744073709551615"', '\\', '\ud800', null, true),
  ),
  value: fc.oneof(
    { maxDepth: 6 },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 6 }),
    // As JSON.parse makes them: `__proto__` is a key like any other.
    fc.array(fc.tuple(key(), tie('value')), { maxLength: 6 }).map(entries => Object.fromEntries(entries)),
  ),
}))

/** The loss that JSON.parse would have made. */
const lossy = (value: JsonValue): unknown =>
  JSON.parse(JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v)))

describe('parseJson', () => {
  it('reads what JSON.parse reads, and refuses what it refuses', () => {
    const pieces = ['', '', '', '"', '\\', '\\u00e', ',', '[', '}', '0', '-', '\n', '\u0001', '\u001f', 'e', ':', '.5']
    const texts = fc
      .tuple(fc.json({ stringUnit: 'binary' }), fc.nat(2), fc.nat(), fc.constantFrom(...pieces))
      .map(([json, indent, at, piece]) => {
        const pretty = JSON.stringify(JSON.parse(json), null, indent)
        const place = at % (pretty.length + 1)
        return piece === '' ? pretty : pretty.slice(0, place) + piece + pretty.slice(place + 1)
      })
    fc.assert(
      fc.property(texts, json => {
        let expected: unknown
        try {
          expected = JSON.parse(json)
        } catch {
          assert.throws(() => parseJson(json), SyntaxError)
          assert.throws(() => new JsonReader(json).read(), SyntaxError)
          return
        }
        const plain = JSON.parse(JSON.stringify(expected))
        assert.deepEqual(lossy(parseJson(json)), plain)
        // The same text in JsonReader, which is used for long integers and NaN.
        assert.deepEqual(lossy(new JsonReader(json).read()), plain)
      }),
      { numRuns: 2000 },
    )
  })

  it('keeps integers exact: bigint beyond 2^53, numbers up to it', () => {
    assert.equal(parseJson('9007199254740991'), 9007199254740991)
    assert.equal(parseJson('-9007199254740991'), -9007199254740991)
    assert.equal(parseJson('9007199254740992'), 9007199254740992n)
    assert.equal(parseJson('-9007199254740993'), -9007199254740993n)
    assert.deepEqual(parseJson('[18446744073709551615]'), [18446744073709551615n])
    assert.deepEqual(parseJson('{"a":18446744073709551615}'), { a: 18446744073709551615n })
    assert.equal(parseJson(' 1234567890123456 '), 1234567890123456)
  })

  it('keeps floats as numbers', () => {
    for (const float of [
      '1e300',
      '1e+300',
      '0.30000000000000004',
      '9007199254740993.0',
      '1234567890123456e3',
      '-0.0',
    ]) {
      assert.ok(Object.is(Object(parseJson(`[NaN,${float}]`))[1], Number(float)), float)
      assert.ok(Object.is(parseJson(float), Number(float)), float)
    }
  })

  it("reads Python's NaN and infinities, and keeps those words in strings", () => {
    assert.deepEqual(parseJson('[NaN, Infinity, -Infinity, "NaN", "-Infinity 18446744073709551615 \\" NaN"]'), [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      'NaN',
      '-Infinity 18446744073709551615 " NaN',
    ])
    assert.throws(() => parseJson('-NaN'), SyntaxError)
  })

  it('keeps `__proto__` an own key, and the last of equal keys, as JSON.parse does', () => {
    const json = '{"__proto__":{"x":1},"a":1,"b":2,"a":NaN}'
    const value = parseJson(json)
    assert.deepEqual(
      Object.entries(Object(value)),
      Object.entries(JSON.parse(json.replace('NaN', 'null'))).map(([name, item]) => [name, item ?? Number.NaN]),
    )
    assert.equal(Object.getPrototypeOf(value), Object.prototype)
  })

  it('reads nesting of any depth', () => {
    const depth = 200_000
    let value = parseJson(`${'['.repeat(depth)}NaN${']'.repeat(depth)}`)
    let seen = 0
    while (Array.isArray(value)) {
      value = value[0] ?? null
      seen++
    }
    assert.equal(seen, depth)
  })

  it('reports position and reason in a short message without control characters', () => {
    const megabytes = `{"a": [1, 2\n\u0007 }${'x'.repeat(5_000_000)}`
    for (const wrong of [megabytes, megabytes.replace('1', 'NaN')]) {
      assert.throws(
        () => parseJson(wrong),
        (error: unknown) => {
          assert.ok(error instanceof SyntaxError)
          assert.match(error.message, /^Expected JSON with `,` or `\]` at position 1[24], got `\ufffd` in `.*…`$/)
          assert.ok(error.message.length < 150 && !/\p{Cc}/u.test(error.message), inspect(error.message))
          return true
        },
      )
    }
    assert.throws(
      () => parseJson('{"a":}'),
      (error: unknown) =>
        error instanceof SyntaxError &&
        error.message === 'Expected JSON with a value at position 5, got `}` in `{"a":}`' &&
        error.cause instanceof SyntaxError,
    )
    assert.throws(() => parseJson('{"a":"x'), /the closing `"` of a string at position 7, got the end in/)
    assert.throws(() => parseJson('["\\x", NaN]'), /a valid escape at position 2/)
    assert.throws(() => parseJson('{a:1}'), /a key in double quotes at position 1/)
    assert.throws(() => parseJson('[1,]'), /a value at position 3, got `\]`/)
    assert.throws(() => parseJson(''), /a value at position 0, got the end/)
    assert.throws(() => parseJson(undefined as never), /^TypeError: Expected `text` to be a string, got `undefined`/)
  })

  it('reads JSON from Python without loss', () => {
    const files = readdirSync(FIXTURES)
    assert.equal(files.length, 8)
    const payloads = files.map(file => Object(parseJson(readFileSync(join(FIXTURES, file), 'utf8'))).payload)
    const segment = payloads.find(payload => payload[0]?.[1] === 'segment')
    assert.deepEqual(segment[1], [[9007199254740993n, 18446744073709551615n, -9007199254740993n]])
    assert.ok(Number.isNaN(payloads.find(payload => payload.class === 'Downsample').fill))
    assert.ok(payloads.some(payload => payload.txt === 'čau 🎉 "quoted" \\ \n newline'))
    assert.ok(payloads.some(payload => payload[2]?.times === 1e300))
    for (const payload of payloads) assert.deepEqual(parseJson(stringifyJson(payload)), payload)
  })
})

describe('stringifyJson', () => {
  it('preserves every value', () => {
    fc.assert(
      fc.property(anyJson, value => {
        assert.deepEqual(parseJson(stringifyJson(value)), value)
      }),
      { numRuns: 1000 },
    )
  })

  it('writes the same as JSON.stringify for plain values', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), value => {
        // JSON.stringify drops the sign of -0, and writes a large float as if it were an integer.
        const plain: unknown = JSON.parse(JSON.stringify(value), (_, v) =>
          typeof v === 'number' && Math.abs(v) >= 2 ** 53 ? 1.5 : v,
        )
        assert.equal(stringifyJson(plain), JSON.stringify(plain))
      }),
    )
    const odd = {
      d: new Date(0),
      u: undefined,
      t: { toJSON: (name: string) => `${name}!` },
      s: '\ud800',
      [Symbol()]: 1,
    }
    assert.equal(stringifyJson(odd), JSON.stringify(odd))
    class Box {
      min = [1]
      get volume() {
        return 1
      }
    }
    assert.equal(stringifyJson(new Box()), '{"min":[1]}')
    class Self extends Box {
      toJSON() {
        return this
      }
    }
    assert.equal(stringifyJson([new Self()]), '[{"min":[1]}]')
  })

  it('writes integers and floats so that Python can distinguish them', () => {
    const ids = [18446744073709551615n, -9007199254740993n, 5n, 2 ** 53, 1e17, 1e21, -0, 1.5]
    assert.equal(
      stringifyJson(ids),
      '[18446744073709551615,-9007199254740993,5,9007199254740992.0,100000000000000000.0,1e+21,-0.0,1.5]',
    )
  })

  it('writes NaN and the infinities as its option says', () => {
    const value = { a: [Number.NaN, Number.POSITIVE_INFINITY], b: Float32Array.of(Number.NEGATIVE_INFINITY, 1) }
    assert.equal(stringifyJson(value), '{"a":[NaN,Infinity],"b":[-Infinity,1]}')
    assert.equal(stringifyJson(value, { nan: 'null' }), '{"a":[null,null],"b":[null,1]}')
    assert.throws(() => stringifyJson(value, { nan: 'refuse' }), /^TypeError: Expected `value\.a\[0\]` to be a finite/)
    assert.throws(() => stringifyJson({ b: value.b }, { nan: 'refuse', name: 'args' }), /Expected `args\.b\[0\]`/)
    assert.throws(() => stringifyJson(1, { nan: 'no' as never }), /Expected `nan` to be 'bare', 'refuse' or 'null'/)
  })

  it('writes typed arrays as lists, nested ones too', () => {
    assert.equal(stringifyJson(Uint8Array.of(0, 255)), '[0,255]')
    assert.equal(stringifyJson(Buffer.from('A')), '[65]')
    assert.equal(stringifyJson([{ ids: BigUint64Array.of(1n, 2n ** 64n - 1n) }]), '[{"ids":[1,18446744073709551615]}]')
    assert.equal(stringifyJson(new Float64Array([0.1, -0])), '[0.1,-0.0]')
  })

  it('refuses values without a JSON form, with the path to them', () => {
    const cycle = { again: [] as unknown[] }
    cycle.again.push(cycle)
    const refused: [unknown, RegExp][] = [
      [[() => 1], /^TypeError: Expected `args\[0\]` to be a value that JSON has \(data, not code\), got `\[Function/],
      [[{ box: { min: Symbol('s') } }], /`args\[0\]\.box\.min`/],
      [[1, [2, undefined]], /`args\[1\]\[1\]` to be .*use `null` for nothing/],
      [undefined, /`args` to be .*got `undefined`/],
      // biome-ignore lint/suspicious/noSparseArray: a hole is what this is about
      [[1, , 3], /`args\[1\]`/],
      [{ 'a b': new Map([[1, 2]]) }, /`args\["a b"\]` to be .*Object\.fromEntries/],
      [{ tags: new Set([1]) }, /`args\.tags` to be .*\[\.\.\.set\]/],
      [[new ArrayBuffer(8)], /`args\[0\]` to be .*new Uint8Array\(buffer\)/],
      [[new DataView(new ArrayBuffer(8))], /use a typed array/],
      [[Promise.resolve(1)], /await it first/],
      [[/x/], /use its `source`/],
      [[new Error('x')], /use its `message`/],
      [[new WeakMap()], /use a plain object/],
      [{ when: new Date(Number.NaN) }, /`args\.when` to be a valid Date/],
      [[{ toJSON: () => [() => 1] }], /`args\[0\]\[0\]` to be .*data, not code/],
      [cycle, /`args\.again\[0\]` to be free of cycles/],
    ]
    for (const [value, message] of refused) {
      assert.throws(() => stringifyJson(value, { name: 'args' }), message)
      assert.throws(() => toJsonValue(value, 'args'), message)
    }
  })

  it('accepts the same object twice, and refuses more levels than Python reads, with a short path', () => {
    const shared = { x: 1n }
    assert.equal(stringifyJson([shared, shared]), '[{"x":1},{"x":1}]')
    const nested = (depth: number) => {
      let value: JsonValue = 1
      for (let level = 0; level < depth; level++) value = [value]
      return value
    }
    assert.equal(stringifyJson(nested(900)).length, 1801)
    assert.throws(
      () => stringifyJson(nested(20_000)),
      (error: unknown) =>
        error instanceof TypeError && /at most 900 levels/.test(error.message) && error.message.length < 400,
    )
  })
})

describe('toJsonValue', () => {
  it('equals the parsed text', () => {
    fc.assert(
      fc.property(fc.anything({ withDate: true, withTypedArray: true, withBigInt: true }), value => {
        let json: string
        try {
          json = stringifyJson(value)
        } catch {
          assert.throws(() => toJsonValue(value), TypeError)
          return
        }
        assert.deepEqual(parseJson(stringifyJson(toJsonValue(value))), parseJson(json))
        assert.deepEqual(structuredClone(toJsonValue(value)), parseJson(json))
      }),
      { numRuns: 2000 },
    )
  })

  it('copies only values that are not in JSON form already', () => {
    fc.assert(fc.property(anyJson, value => Object.is(toJsonValue(value), value)))
    const inner = { a: [1, 2] }
    const value = [inner, { n: 5n, u: undefined, keep: inner }]
    const form = toJsonValue(value)
    assert.deepEqual(form, [inner, { n: 5, keep: inner }])
    assert.ok(Array.isArray(form) && form !== value && form[0] === inner)
    assert.deepEqual(value, [inner, { n: 5n, u: undefined, keep: inner }])
  })
})
