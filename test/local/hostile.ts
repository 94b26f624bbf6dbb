// Values that should never be thrown, and a task that throws them.
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { queueable } from 'ptq'

const names = [
  'toString',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'TypeError',
  'AggregateError',
  '',
  'Own\u001b[31m',
]
const keys = [
  '__proto__',
  'toString',
  'then',
  'name',
  'message',
  'stack',
  'code',
  'cause',
  'errors',
  'error',
  'suppressed',
  'x',
]

const unreadable = () => {
  throw new Error('not to be read')
}

/** A proxy whose traps throw, all of them or one. */
const proxied = (target: object, trap: string) =>
  new Proxy(target, trap === 'all' ? new Proxy({}, { get: unreadable }) : { [trap]: unreadable })

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {})
  revoke()
  return proxy
}

function deep(depth: number, next: (inner: object) => object): object {
  let made: object = new Error('innermost')
  for (let level = 0; level < depth; level++) made = next(made)
  return made
}

/** `root` with properties that are values, getters, or getters that throw. */
function adorned(root: object, properties: readonly (readonly [key: string, value: unknown, kind: number])[]): object {
  for (const [key, value, kind] of properties) {
    const given = kind === 0 ? { value } : { get: kind === 1 ? () => value : unreadable }
    try {
      Object.defineProperty(root, key, { ...given, enumerable: kind !== 1, configurable: true })
    } catch {
      // A stack that can't be made because of the other properties.
    }
  }
  return root
}

/** A graph whose objects share members, or contain themselves. */
function entangled(root: object, others: readonly unknown[]): object {
  const objects = [root, ...others].filter(value => typeof value === 'object' && value !== null)
  for (const object of objects) {
    try {
      Object.assign(object as object, { cause: root, errors: objects, error: objects.at(-1) })
    } catch {
      // Frozen, a proxy, or with a getter in that place.
    }
  }
  return root
}

// fast-check inspects the values that it generates, which breaks some of these: it generates functions that create
// them.
type Make = () => unknown

const odd: fc.Arbitrary<Make> = fc.constantFrom<Make[]>(
  () => undefined,
  () => null,
  () => 'text',
  () => Symbol('a symbol'),
  () => 10n,
  () => unreadable,
  () => Object.create(null),
  () => JSON.parse('{"toString":"x","valueOf":1,"__proto__":{"then":2}}'),
  () => ({ [Symbol.toPrimitive]: unreadable }),
  () => ({ [Symbol.for('nodejs.util.inspect.custom')]: unreadable, toString: unreadable }),
  () => ({
    get [Symbol.toStringTag]() {
      return unreadable()
    },
  }),
  () => Object.defineProperty(() => 1, 'name', { get: unreadable }),
  () => revoked({}),
  () => revoked(new Error('revoked')),
  () => revoked([]),
  () => new URL('http://x.y'),
  () => new Map<unknown, unknown>([[{}, new Set([() => 1])]]),
  () => new WeakMap(),
  () => Promise.resolve(1),
  () => new Uint8Array(3),
  () => new DOMException('aborted', 'AbortError'),
  () => runInNewContext('Object.assign(new RangeError("of another realm"), { code: "E_OTHER" })'),
  () => runInNewContext('class Mine extends Error {}; new Mine("mine")'),
  () => Object.create(Error.prototype),
  () => Object.setPrototypeOf(new Error('bare'), null),
  () => deep(5000, cause => new Error('outer', { cause })),
  () => deep(5000, inner => [inner]),
  () => deep(5000, inner => new Map([[1, inner]])),
  () => new Error('long'.repeat(100_000)),
  () => new Array(2 ** 31),
)

/** Makes anything. */
export const hostile: fc.Arbitrary<Make> = fc.letrec<{ value: Make; root: Make }>(tie => ({
  value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, odd, tie('root')),
  root: fc.oneof(
    fc
      .tuple(
        fc.constantFrom<((message: string) => object)[]>(
          message => new Error(message),
          message => new TypeError(message),
          message => new AggregateError([message], message),
          message => ({ message }),
          message => [message],
          () => Object.create(null) as object,
        ),
        fc.constantFrom(...names),
        fc.array(fc.tuple(fc.constantFrom(...keys), tie('value'), fc.nat(2)), { maxLength: 4 }),
      )
      .map(
        ([make, name, properties]) =>
          () =>
            adorned(
              Object.assign(make('a message'), { name }),
              properties.map(([key, value, kind]) => [key, value(), kind]),
            ),
      ),
    fc
      .tuple(tie('root'), fc.constantFrom('all', 'get', 'getPrototypeOf', 'ownKeys', 'has', 'getOwnPropertyDescriptor'))
      .map(
        ([root, trap]) =>
          () =>
            proxied(root() as object, trap),
      ),
    fc.tuple(tie('root'), fc.array(tie('value'), { maxLength: 3 })).map(
      ([root, others]) =>
        () =>
          entangled(
            root() as object,
            others.map(make => make()),
          ),
    ),
  ),
})).value

/** The same value for the same seed. */
export function hostileValue(seed: number): unknown {
  return fc.sample(hostile, { seed, numRuns: 1 })[0]?.()
}

export const throwHostile = queueable(function throwHostile(seed: number, later: boolean) {
  const thrown = hostileValue(seed)
  if (later) return Promise.reject(thrown)
  throw thrown
})
