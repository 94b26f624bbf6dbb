import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { context, LocalTaskQueue, partial, type TaskInput } from 'ptq'
import { checkThatNothingIsLeft } from './nothing-left.js'
import { collect, counting, once, queue, testRuns, turns, until } from './runs.js'
import {
  add,
  awaitUntil,
  blockTogether,
  blockUntil,
  count,
  countLater,
  echo,
  giveBack,
  giveEmptied,
  lazily,
  shared,
  where,
} from './tasks.js'

checkThatNothingIsLeft()

testRuns(0)
testRuns(2)

describe('on threads', () => {
  it('clones values; a value that cannot be cloned is an error of its task', async () => {
    await using lq = queue({ parallel: 1 })
    const kinds = ['map', 'function', 'getter that throws', 'map']
    const results = await collect(
      lq.results(
        kinds.map(kind => partial(giveBack, kind)),
        { ordered: true },
      ),
    )
    const [map, fn, getter, again] = results
    assert.ok(map?.ok && again?.ok && map.value instanceof Map)
    assert.deepEqual([...map.value.entries()].slice(0, 4), [
      ['date', new Date(0)],
      ['big', 2n ** 64n],
      ['bytes', Uint8Array.of(1, 2)],
      ['nothing', undefined],
    ])
    assert.ok(map.value.get('error') instanceof RangeError)
    for (const [failed, cause] of [
      [fn, 'DataCloneError'],
      [getter, 'Error'],
    ] as const) {
      assert.ok(failed !== undefined && !failed.ok)
      assert.match(failed.error.message, /failed: Expected the task to return a value that can be cloned/)
      assert.equal(((failed.error.cause as Error).cause as Error).name, cause)
    }
    assert.equal(await lq.insertAll([partial(giveBack, 'function')]), 1, 'unasked, no value is cloned')
  })

  it('an extra argument that cannot be cloned is an error of its task', async () => {
    await using lq = queue({ parallel: 2, stopOnError: false })
    const counts = shared(20)
    const tasks: TaskInput[] = [...counting(counts)]
    tasks[7] = [echo, [() => 1]]
    await assert.rejects(lq.insertAll(tasks), (error: unknown) => {
      assert.ok(error instanceof AggregateError)
      assert.equal(error.errors.length, 1)
      assert.match(error.errors[0].message, /failed: Expected the extra arguments of the task to be data that can be/)
      return true
    })
    assert.deepEqual([...counts], Object.values({ ...once(20), 7: 0 }))
  })

  it('a value or an extra argument that would be empty in another thread is an error of its task', async () => {
    await using lq = queue({ parallel: 1, stopOnError: false })
    const kinds = ['URL', 'Headers', 'private', 'nested', 'empty']
    const results = await collect(
      lq.results(
        kinds.map(kind => partial(giveEmptied, kind)),
        { ordered: true },
      ),
    )
    for (const [index, kind] of ['URL', 'Headers', 'Private', 'URL'].entries()) {
      const failed = results[index]
      assert.ok(failed !== undefined && !failed.ok)
      assert.match(
        failed.error.message,
        new RegExp(
          `a value that can be cloned to another thread: (nothing would be left of an object of class ${kind},|an object of class ${kind} could not be cloned)`,
        ),
      )
    }
    const empty = results[4]
    assert.ok(empty?.ok)
    assert.deepEqual(empty.value, [{}, [], new Map(), new Error('x')])

    await assert.rejects(
      lq.insertAll([
        [echo, [new URL('http://x.y')]],
        [echo, [{}]],
      ]),
      (error: unknown) => {
        assert.ok(error instanceof AggregateError)
        assert.equal(error.errors.length, 1)
        assert.match(error.errors[0].message, /failed: Expected the extra arguments of the task to be data that can be/)
        return true
      },
    )
  })

  for (const parallel of [0, 1]) {
    it(`refuses an array with a hole before anything runs, parallel: ${parallel}`, async () => {
      await using lq = queue({ parallel })
      const counts = shared(3)
      const tasks: TaskInput[] = [[partial(count, 0), [counts]]]
      tasks[2] = [partial(count, 2), [counts]]
      await assert.rejects(lq.insertAll(tasks), /^TypeError: Expected `task` to be .*, got `undefined`/)
      assert.deepEqual([...counts], [0, 0, 0])
    })

    it(`awaits a lazy thenable inside its task, parallel: ${parallel}`, async () => {
      await using lq = queue({ parallel, stopOnError: false })
      const results = await collect(
        lq.results([partial(lazily, 'context'), partial(lazily, 'throws')], { ordered: true }),
      )
      const [inContext, throws] = results
      assert.ok(inContext?.ok && throws !== undefined && !throws.ok)
      assert.equal(inContext.value, 1)
      assert.match(throws.error.message, /failed: thrown by then/)
    })
  }

  it('an error that a lazy thenable throws in a timer fails its task', async () => {
    await using lq = queue({ parallel: 1 })
    await assert.rejects(lq.insertAll(partial(lazily, 'timer')), /failed: thrown by a timer/)
  })

  it('pulls exactly as many tasks as can start, while it does not know their durations', async () => {
    await using lq = queue({ parallel: 2 })
    const counts = shared(3)
    let pulled = 0
    const tasks = function* (): Generator<TaskInput> {
      for (; pulled < 6; ) {
        pulled++
        yield [partial(blockUntil, 0, 1), [counts]]
      }
    }
    const run = lq.insertAll(tasks())
    await until(() => Atomics.load(counts, 1) === 2)
    await turns(20)
    assert.equal(pulled, 2)
    Atomics.add(counts, 0, 1)
    assert.equal(await run, 6)
  })

  it('no task waits behind a slow one while a thread is idle', async () => {
    await using lq = queue({ parallel: 2 })
    const fast = 5000
    const counts = shared(3)
    await lq.insertAll(Array.from({ length: 20_000 }, () => partial(add, 1, 2)))
    // The chunk of the slow one is large by then: it ends only when all that lie behind it have been run elsewhere.
    const tasks = function* (): Generator<TaskInput> {
      for (let before = 0; before < fast; before++) yield [partial(count, 0), [counts]]
      yield [partial(blockUntil, 0, 2 * fast), [counts]]
      for (let behind = 0; behind < fast; behind++) yield [partial(count, 0), [counts]]
    }
    assert.equal(await lq.insertAll(tasks()), 2 * fast + 1)
    assert.equal(counts[0], 2 * fast)
  })

  it('tasks of a stopped run that were handed out but not started never start', async () => {
    const stop = new AbortController()
    await using lq = queue({ parallel: 1, signal: stop.signal })
    const counts = shared(4)
    const tasks = function* (): Generator<TaskInput> {
      // Enough for large chunks when the blocking task comes.
      for (let before = 0; before < 5000; before++) yield [partial(count, 2), [counts]]
      yield [partial(blockUntil, 0, 1), [counts]]
      for (let behind = 0; behind < 5000; behind++) yield [partial(count, 3), [counts]]
    }
    const run = assert.rejects(lq.insertAll(tasks()), { name: 'AbortError', message: /: 5001 tasks ran to their end/ })
    await until(() => Atomics.load(counts, 1) === 1)
    stop.abort()
    Atomics.store(counts, 0, 1)
    await run
    assert.deepEqual([...counts], [1, 1, 5000, 0])
  })

  it('no task waits behind a slow asynchronous one either', async () => {
    for (const parallel of [1, 2]) {
      await using lq = queue({ parallel, concurrency: 2 })
      const counts = shared(3)
      const others = 2000
      const tasks = function* (): Generator<TaskInput> {
        for (let before = 0; before < others; before++) yield [partial(countLater, 0, 0), [counts]]
        yield [partial(awaitUntil, 0, 2 * others), [counts]]
        for (let behind = 0; behind < others; behind++) yield [partial(countLater, 0, 0), [counts]]
      }
      assert.equal(await lq.insertAll(tasks()), 2 * others + 1)
    }
  })

  it('all runs together use up to `parallel` threads', async () => {
    await using lq = queue({ parallel: 2 })
    const ids = new Set<unknown>()
    const counts = shared(1)
    // The first task of each run waits until two are there: one thread alone would wait for ever.
    const tasks = (): TaskInput[] => [
      [partial(blockTogether, 2), [counts]],
      ...Array.from({ length: 500 }, (_, i) => partial(where, i)),
    ]
    const runs = Array.from({ length: 4 }, async () => {
      for (const result of await collect(lq.results(tasks()))) ids.add(result.ok && result.value)
    })
    await Promise.all(runs)
    assert.equal(ids.size, 2)
  })

  it('a finished run does not wait for another one to leave its thread', async () => {
    await using lq = queue({ parallel: 1 })
    const counts = shared(2)
    const first = lq.insertAll([partial(add, 1, 2)])
    const second = lq.insertAll([[partial(blockUntil, 0, 1), [counts]]])
    // The first run ends although the second holds the only thread by then, and ends only when the first has ended.
    assert.equal(await first, 1)
    Atomics.add(counts, 0, 1)
    assert.equal(await second, 1)
  })
})

it('context() is refused outside a task', () => {
  assert.throws(() => context(), /^Error: Expected context\(\) to be called while a task runs; no task is running here/)
})

describe('options', () => {
  it('are refused with one clear error each', () => {
    const bad: [object, RegExp][] = [
      [
        { parallel: -1 },
        /Expected `parallel` to be an integer of 0 or more, or true for all cores, got `-1` \(number\)/,
      ],
      [{ parallel: 1.5 }, /Expected `parallel` to be an integer of 0 or more, .* got `1\.5` \(number\)/],
      [{ parallel: '5' }, /Expected `parallel` to be an integer of 0 or more, .* got `'5'` \(string\)/],
      [{ parallel: false }, /Expected `parallel`/],
      [{ parallel: Number.NaN }, /Expected `parallel`/],
      [{ concurrency: 0 }, /Expected `concurrency` to be an integer of 1 or more, got `0`/],
      [{ timeoutSeconds: 0 }, /Expected `timeoutSeconds` to be a number above 0, got `0`/],
      [{ maxMemoryMb: '1' }, /Expected `maxMemoryMb` to be a number above 0, got `'1'`/],
      [{ parallel: 0, timeoutSeconds: 1 }, /Expected `parallel` of 1 or more with timeoutSeconds or maxMemoryMb/],
      [{ parallel: 0, maxMemoryMb: 1 }, /only a thread can be stopped/],
      [{ stopOnError: 'no' }, /Expected `stopOnError` to be true or false/],
      [{ progress: 1 }, /Expected `progress` to be true or false/],
      [{ signal: {} }, /Expected `signal` to be an AbortSignal/],
      [{ onLog: 'x' }, /Expected `onLog` to be a function/],
      [{ threads: 2 }, /Expected options of LocalTaskQueue to be among parallel, .*, got `threads`/],
    ]
    for (const [options, message] of bad) assert.throws(() => new LocalTaskQueue(options as never), message)
    for (const [, message] of bad) assert.ok(message)
    assert.throws(() => new LocalTaskQueue(null as never), TypeError)
  })
})
