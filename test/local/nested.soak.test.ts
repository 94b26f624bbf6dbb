// A pool thread's stack is larger than the main thread's: it can send values that can't be read here. None may be lost.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { LocalTaskQueue, partial, type TaskInput, TaskQueue } from 'ptq'
import { giveBack, giveBackLater, nest, shapes, take, throwError, throwIt } from './nested-tasks.js'
import { checkThatNothingIsLeft } from './nothing-left.js'

checkThatNothingIsLeft()

/** Depths that every thread can read, depths that only a pool thread can, and depths that none can. */
const depths = fc.oneof(
  fc.integer({ min: 900, max: 4000 }),
  fc.integer({ min: 4000, max: 14_000 }),
  fc.constant(40_000),
)
const kinds = ['giveBack', 'giveBackLater', 'throwError', 'throwIt', 'extra', 'flat'] as const
const aTask = fc.record({ kind: fc.constantFrom(...kinds), shape: fc.constantFrom(...shapes), depth: depths })

describe('values, errors and extra arguments nested too deeply to cross', () => {
  for (const [parallel, concurrency] of [
    [1, 1],
    [2, 3],
  ] as const) {
    it(`have one outcome each, and the other tasks theirs; parallel: ${parallel}, concurrency: ${concurrency}`, async () => {
      const run = fc.asyncProperty(fc.array(aTask, { minLength: 1, maxLength: 12 }), async given => {
        const tasks = given.map(({ kind, shape, depth }, index): TaskInput => {
          if (kind === 'flat') return partial(take, index)
          if (kind === 'extra') return [partial(take, index), [nest(shape, depth)]]
          return partial({ giveBack, giveBackLater, throwError, throwIt }[kind], shape, depth)
        })
        await using lq = new LocalTaskQueue({ progress: false, parallel, concurrency, stopOnError: false })
        const ends: (boolean | string)[] = []
        for await (const result of lq.results(tasks, { ordered: true })) {
          if (result.ok) assert.ok(result.value !== undefined)
          ends.push(result.ok || String(result.error.cause))
        }
        assert.equal(ends.length, given.length)
        for (const [index, { kind, depth }] of given.entries()) {
          const end = ends[index]
          if (kind === 'flat') assert.equal(end, true)
          else if (kind === 'throwError') assert.match(String(end), /with more/)
          else if (kind === 'throwIt') assert.equal(typeof end, 'string')
          else if (depth === 40_000) assert.match(String(end), /Expected the (task to return a value|extra arguments)/)
          else if (end !== true) assert.match(String(end), /nested|can be cloned/)
        }
        const failed = ends.filter(end => end !== true).length
        const all = lq.insertAll(tasks)
        if (given.every(({ kind }) => kind === 'flat')) assert.equal(await all, given.length)
        // Without a reader of values none is sent.
        else
          assert.ok((await all.catch((error: AggregateError) => error.errors.length)) <= Math.max(failed, given.length))
      })
      await fc.assert(run, { numRuns: 15 })
    })
  }

  it('an extra argument whose getter throws fails its task alone', async () => {
    await using lq = new LocalTaskQueue({ progress: false })
    const unreadable = Object.defineProperty({}, 'x', {
      enumerable: true,
      get: () => {
        throw new RangeError('no getter')
      },
    })
    const ends: unknown[] = []
    const tasks: TaskInput[] = [partial(take, 1), [partial(take, 2), [unreadable]], partial(take, 3)]
    for await (const result of lq.results(tasks, { ordered: true })) ends.push(result.ok ? result.value : 'failed')
    assert.deepEqual(ends, [1, 'failed', 3])
  })

  it('do not stop a worker with a listener for values, which removes the task and ends', async () => {
    await using tq = new TaskQueue('mem://nested-values')
    await tq.insert([partial(giveBack, 'objects', 4000), partial(giveBackLater, 'list', 6000), partial(take, 7)])
    const values: unknown[] = []
    tq.events.on('succeeded', ({ value }) => values.push(value))
    assert.equal(await tq.poll({ untilEmpty: true }), 3)
    assert.deepEqual(new Set(values), new Set([undefined, 7]))
  })
})
