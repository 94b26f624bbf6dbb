import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { LocalTaskQueue, partial, type Result, type TaskError, type TaskInput } from 'ptq'
import { messageOf, nameAndMessageOf, stackOf, summaryOf } from '#ptq/errors/thrown.js'
import { reasonOf } from '#ptq/poll/failure-reason.js'
import { errorFromWire, errorToWire } from '#ptq/threads/error-wire.js'
import { hostile, throwHostile } from './hostile.js'
import { checkThatNothingIsLeft } from './nothing-left.js'
import { thrownKinds, throwOfKind } from './thrown-tasks.js'

checkThatNothingIsLeft()

const crossed = (thrown: unknown): unknown => errorFromWire(structuredClone(errorToWire(thrown)))

async function failuresOf(parallel: number, tasks: TaskInput[]): Promise<TaskError[]> {
  await using lq = new LocalTaskQueue({ parallel, progress: false })
  const failures: TaskError[] = []
  const results: AsyncIterable<Result<unknown>> = lq.results(tasks, { ordered: true })
  for await (const result of results) {
    assert.ok(!result.ok, 'every task was to fail')
    failures.push(result.error)
  }
  return failures
}

describe('any thrown value', () => {
  it('is described without an error, in a text of limited length', () => {
    fc.assert(
      fc.property(hostile, make => {
        const thrown = make()
        for (const describe of [messageOf, nameAndMessageOf, stackOf, summaryOf]) {
          const text = describe(thrown)
          assert.ok(typeof text === 'string' && text.length < 10_100)
        }
        assert.ok(reasonOf(thrown).length <= 1000)
      }),
      { numRuns: 300 },
    )
  })

  it('crosses threads without an error, and can be described there', () => {
    fc.assert(
      fc.property(hostile, make => {
        const thrown = make()
        const arrived = crossed(thrown)
        assert.equal(typeof summaryOf(arrived), 'string')
        assert.equal(typeof inspect(arrived), 'string')
      }),
      { numRuns: 300 },
    )
  })

  for (const parallel of [0, 1]) {
    it(`fails its task alone, parallel: ${parallel}`, async () => {
      const seeds = Array.from({ length: 200 }, (_, seed) => seed)
      const failures = await failuresOf(
        parallel,
        seeds.map(seed => partial(throwHostile, seed, seed % 2 === 0)),
      )
      assert.equal(failures.length, seeds.length)
      for (const { message } of failures) assert.match(message, /^Task hostile\.throwHostile \(.*\) failed: /)
    })

    it(`fails its task with a readable message for each kind, parallel: ${parallel}`, async () => {
      const failures = await failuresOf(
        parallel,
        thrownKinds.map(kind => partial(throwOfKind, kind)),
      )
      const messages = failures.map(({ message }) => message.replace(/^.* failed: /, ''))
      assert.deepEqual(messages, [
        'named badly',
        'named badly',
        "{ toString: 'x' }",
        parallel === 0 ? '[Object: null prototype] {}' : '{}',
        '<Revoked Proxy>',
      ])
    })
  }
})

describe('an error that crosses threads', () => {
  it('keeps shared references and cycles', () => {
    // As a tree it would be of 20^60 errors.
    let shared: Error = new Error('the deepest')
    for (let level = 0; level < 60; level++) {
      const members = Array.from({ length: 20 }, (_, index) => new Error(`member ${index}`, { cause: shared }))
      shared = new AggregateError(members, `level ${level}`, { cause: shared })
    }
    const root = shared as AggregateError & { self?: unknown }
    root.errors.push(root)
    root.self = root
    const wire = errorToWire(root)
    assert.equal(wire.nodes.length, 1 + 60 * (20 + 2))
    const arrived = errorFromWire(structuredClone(wire)) as typeof root
    assert.ok(arrived instanceof AggregateError)
    assert.equal(arrived.self, arrived)
    assert.equal(arrived.errors.at(-1), arrived)
    assert.equal((arrived.cause as Error).message, 'level 58')
    for (const member of arrived.errors.slice(0, 20)) assert.equal(member.cause, arrived.cause)
    assert.equal(summaryOf(root).split('; ').length, 11)
  })

  it('keeps errors of any class, and those inside a SuppressedError', () => {
    class Several extends Error {
      override readonly name = 'Several'
      readonly errors = [new TypeError('one'), Object.assign(new Error('two'), { code: 'E_TWO' })]
    }
    const several = crossed(new Several('several')) as Several
    assert.equal(several.name, 'Several')
    assert.ok(several.errors[0] instanceof TypeError)
    assert.equal((several.errors[1] as NodeJS.ErrnoException | undefined)?.code, 'E_TWO')
    assert.match(summaryOf(several), /^Several: several; error: TypeError: one; error: Error: two \(E_TWO\)$/)

    const suppressed = Object.defineProperties(new Error('two failed'), {
      name: { value: 'SuppressedError' },
      error: { value: new RangeError('while closing') },
      suppressed: { value: new TypeError('at first') },
    })
    const arrived = crossed(suppressed) as Error & { error: unknown; suppressed: unknown }
    assert.equal(arrived.name, 'SuppressedError')
    assert.ok(arrived.error instanceof RangeError && arrived.suppressed instanceof TypeError)
    assert.equal(
      reasonOf(arrived),
      'SuppressedError: two failed; error: RangeError: while closing; suppressed: TypeError: at first',
    )
  })

  it('loses only the property whose getter throws', () => {
    const error = Object.assign(new TypeError('readable'), { code: 'E_CODE', limit: 5 })
    Object.defineProperty(error, 'broken', {
      enumerable: true,
      get: () => {
        throw new Error('not to be read')
      },
    })
    const arrived = crossed(error) as typeof error & { broken: unknown }
    assert.ok(arrived instanceof TypeError)
    assert.deepEqual({ ...arrived }, { code: 'E_CODE', limit: 5, broken: "can't be read: not to be read" })
    assert.equal(arrived.stack, error.stack)
  })

  it('keeps name, code and class of another realm', () => {
    const other: unknown = runInNewContext(
      'Object.assign(new RangeError("too far", { cause: new TypeError("why") }), { code: "E_FAR" })',
    )
    const arrived = crossed(other) as NodeJS.ErrnoException
    assert.ok(arrived instanceof RangeError && arrived.cause instanceof TypeError)
    assert.equal(arrived.code, 'E_FAR')
    assert.equal(reasonOf(other), 'RangeError: too far (E_FAR); cause: TypeError: why')
  })

  it('keeps errors inside arrays and plain objects, and the text of values without data', () => {
    const results = [{ status: 'rejected', reason: Object.assign(new RangeError('inner'), { code: 'E_INNER' }) }]
    const arrived = crossed(Object.assign(new Error('outer'), { results, url: new URL('http://x.y/z') }))
    const { results: kept, url } = arrived as { results: typeof results; url: unknown }
    assert.ok(kept[0]?.reason instanceof RangeError)
    assert.equal(kept[0].reason.code, 'E_INNER')
    assert.equal(url, 'http://x.y/z')
  })

  it('is truncated if it is too deep, too large or too long', () => {
    let deep = new Error('level 0')
    for (let level = 1; level <= 20_000; level++) deep = new Error(`level ${level}`, { cause: deep })
    let error: unknown = crossed(deep)
    let levels = 0
    for (; error instanceof Error; levels++) error = error.cause
    assert.equal(levels, 101)
    assert.equal(error, 'left out: level 19899')

    const many = crossed(new AggregateError(Array.from({ length: 50_000 }, () => new Error('x')))) as AggregateError
    assert.ok(many.errors.length < 10_000)
    assert.match(String(many.errors.at(-1)), /^left out: \d+ more$/)

    const long = crossed(new Error('x'.repeat(10 << 20))) as Error
    assert.ok(long.message.length < (1 << 20) + 100)
    assert.match(long.message, /… \(9437184 characters more\)$/)
  })
})
