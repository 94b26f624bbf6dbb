import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { context, LocalTaskQueue, type LocalTaskQueueOptions, partial, type TaskInput, type TaskProgress } from 'ptq'
import { checkThatNothingIsLeft } from './nothing-left.js'
import {
  Adder,
  add,
  ask,
  awaitUntil,
  blockTogether,
  blockUntil,
  count,
  countLater,
  echo,
  fails,
  giveBack,
  giveEmptied,
  lazily,
  meet,
  type Shared,
  shared,
  spoil,
  where,
} from './tasks.js'

checkThatNothingIsLeft()

const queue = (options: LocalTaskQueueOptions = {}) => new LocalTaskQueue({ progress: false, ...options })

/** One task for each counter. */
function* counting(counts: Shared, howMany = counts.length): Generator<TaskInput<number>> {
  for (let index = 0; index < howMany; index++) yield [partial(count, index), [counts]]
}

const once = (howMany: number) => Array.from({ length: howMany }, () => 1)

async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const value of values) all.push(value)
  return all
}

/** Lets the event loop turn until `condition` holds. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 120_000
  while (!condition()) {
    assert.ok(performance.now() < deadline, `waited two minutes for ${condition}`)
    await nextTurn()
  }
}

async function turns(howMany: number): Promise<void> {
  for (let turn = 0; turn < howMany; turn++) await nextTurn()
}

for (const parallel of [0, 1, 2]) {
  describe(`parallel: ${parallel}`, () => {
    it('runs each task of any iterable once, and returns how many ran', async () => {
      await using lq = queue({ parallel })
      const make: [string, (counts: Shared) => Parameters<LocalTaskQueue['insertAll']>[0]][] = [
        ['array', counts => [...counting(counts)]],
        ['set', counts => new Set(counting(counts))],
        ['generator', counts => counting(counts)],
        [
          'async generator that waits',
          async function* (counts) {
            for (const task of counting(counts)) {
              await nextTurn()
              yield task
            }
          },
        ],
        [
          'async iterator without return()',
          counts => {
            const tasks = counting(counts)
            return { [Symbol.asyncIterator]: () => ({ next: async () => tasks.next() }) }
          },
        ],
      ]
      for (const [name, tasks] of make) {
        const counts = shared(50)
        assert.equal(await lq.insertAll(tasks(counts)), 50, name)
        assert.deepEqual([...counts], once(50), name)
      }
      assert.equal(await lq.insertAll([]), 0)
      assert.equal(await lq.insertAll(partial(add, 1, 2)), 1, 'one task')
      assert.equal(await lq.insertAll(where), 1, 'one function')
      assert.equal(await lq.insertAll([['tasks', 'add'], [1, 2], {}, -1]), 1, 'one payload')
      assert.equal(await lq.insertAll({ class: 'Adder', a: 1, b: 2 }), 1, 'one payload of a class')
    })

    it('returns the value of each task: functions, classes, payloads, extra arguments, keywords', async () => {
      await using lq = queue({ parallel })
      const tasks: TaskInput[] = [
        partial(add, 1, 2),
        [partial(add, 1), [5]],
        [add, [20, 22]],
        new Adder({ a: 1, b: 2 }),
        [new Adder({ a: 1, b: 2 }), [10, 20]],
        [['tasks', 'echo'], ['x'], { times: 3 }, -1],
        [[['tasks', 'echo'], ['x'], { times: 3 }, -1], [new Map([[1, 2]])]],
        { class: 'Adder', a: 2, b: 2 },
        partial(echo, 2n ** 64n, Number.NaN, null, [new Date(0)], Uint8Array.of(1)),
      ]
      const results = await collect(lq.results(tasks, { ordered: true }))
      assert.deepEqual(
        results.map(result => result.ok && result.value),
        [
          3,
          6,
          42,
          3,
          33,
          ['x', { times: 3 }],
          ['x', new Map([[1, 2]]), { times: 3 }],
          4,
          [2n ** 64n, Number.NaN, null, ['1970-01-01T00:00:00.000Z'], [1]],
        ],
      )
      results.forEach((result, index) => {
        assert.equal(result.task, tasks[index])
      })
    })

    it('pulls tasks only as they are needed', async () => {
      await using lq = queue({ parallel })
      const counts = shared(1)
      const stop = new AbortController()
      let pulled = 0
      let ended = false
      const endless = async function* () {
        try {
          for (;;) {
            // For any size of chunks, those that run and those that wait are bounded.
            assert.ok(pulled - Atomics.load(counts, 0) <= 2048 * (2 * parallel + 2), `${pulled} pulled`)
            if (++pulled === 30_000) stop.abort(new Error('enough'))
            yield [partial(count, 0), [counts]] satisfies TaskInput
          }
        } finally {
          ended = true
        }
      }
      await using stopped = queue({ parallel, signal: stop.signal })
      await assert.rejects(stopped.insertAll(endless()), { name: 'AbortError', code: 'ABORT_ERR' })
      assert.ok(ended, 'the generator has cleaned up')
      assert.ok(Atomics.load(counts, 0) <= pulled)
      assert.equal(await lq.insertAll([where]), 1)
    })

    it('stops at the first failure by default; running tasks finish', async () => {
      await using lq = queue({ parallel })
      const counts = shared(1)
      let ended = false
      const tasks = function* (): Generator<TaskInput> {
        try {
          for (let index = 0; ; index++) yield index === 100 ? fails : [partial(count, 0), [counts]]
        } finally {
          ended = true
        }
      }
      await assert.rejects(lq.insertAll(tasks()), (error: unknown) => {
        assert.ok(error instanceof Error && error.name === 'TaskError')
        assert.match(error.message, /^Task tasks\.fails \(.+-100\) failed: not this time$/)
        assert.ok(error.cause instanceof RangeError)
        return true
      })
      assert.ok(ended)
    })

    it('with stopOnError: false runs all, then throws all errors', async () => {
      await using lq = queue({ parallel, stopOnError: false })
      const counts = shared(60)
      const tasks = [...counting(counts)]
      for (const index of [10, 20, 59]) tasks[index] = fails as TaskInput<never>
      await assert.rejects(lq.insertAll(tasks), (error: unknown) => {
        assert.ok(error instanceof AggregateError)
        assert.equal(error.message, '3 of 60 tasks failed')
        assert.deepEqual(new Set(error.errors.map(({ id }) => Number(id.split('-').at(-1)))), new Set([10, 20, 59]))
        assert.ok(error.errors.every(({ attempt, task }) => attempt === 1 && task === fails))
        return true
      })
      assert.deepEqual([...counts], Object.values({ ...once(60), 10: 0, 20: 0, 59: 0 }))
    })

    it('throws the error of the iterable after running tasks have ended', async () => {
      await using lq = queue({ parallel })
      const counts = shared(3)
      const thrown = new Error('no more tasks')
      const sync = function* () {
        yield* counting(counts)
        throw thrown
      }
      const async = async function* () {
        yield* sync()
      }
      await assert.rejects(lq.insertAll(sync()), thrown)
      assert.deepEqual([...counts], once(3))
      await assert.rejects(lq.insertAll(async()), thrown)
      await assert.rejects(collect(lq.results(sync())), thrown)
    })

    it("does not change the caller's arguments, and each task has its own copy", async () => {
      await using lq = queue({ parallel })
      const box = { min: [1] }
      const kwargs = { times: 1 }
      const fields = { a: 1, b: 2, history: [] }
      const tasks = [
        partial(spoil, box),
        partial(spoil, box),
        [['tasks', 'spoil'], [box], kwargs, -1] as TaskInput,
        [['tasks', 'spoil'], [box], kwargs, -1] as TaskInput,
        new Adder(fields),
      ]
      const results = await collect(lq.results(tasks, { ordered: true }))
      assert.deepEqual(
        results.map(result => result.ok && result.value),
        [[1, 1], [1, 1], [1, 1], [1, 1], 3],
      )
      assert.deepEqual([box, kwargs, fields], [{ min: [1] }, { times: 1 }, { a: 1, b: 2, history: [] }])
    })

    it('runs at most `concurrency` asynchronous tasks at once in each thread', async () => {
      const concurrency = 3
      await using lq = queue({ parallel, concurrency })
      const party = concurrency * Math.max(1, parallel)
      const counts = shared(3)
      const tasks = Array.from({ length: party * 5 }, () => [partial(meet, party), [counts]] satisfies TaskInput)
      // Fewer at once, and they would wait for each other for ever.
      assert.equal(await lq.insertAll(tasks), tasks.length)
      assert.deepEqual([counts[0], counts[1], counts[2]], [tasks.length, 0, party])
    })

    it('yields results as tasks end or, with `ordered`, in input order', async () => {
      await using lq = queue({ parallel, concurrency: 2 })
      // The first one ends only after the others have.
      const tasks = (counts: Shared): TaskInput[] => [
        [partial(awaitUntil, 0, 2), [counts]],
        [partial(countLater, 0, 0), [counts]],
        [partial(countLater, 0, 1), [counts]],
      ]
      for (const ordered of [true, false]) {
        const given = tasks(shared(1))
        const ended = (await collect(lq.results(given, { ordered }))).map(({ task }) => given.indexOf(task))
        if (ordered) assert.deepEqual(ended, [0, 1, 2])
        // Output of two threads at the same time may come in any order.
        else if (parallel < 2) assert.deepEqual(ended, [1, 2, 0])
      }
    })

    it('pulls no more tasks while results are not read', async () => {
      await using lq = queue({ parallel })
      const counts = shared(1)
      let pulled = 0
      const tasks = function* (): Generator<TaskInput> {
        for (;;) {
          pulled++
          yield [partial(count, 0), [counts]]
        }
      }
      const results = lq.results(tasks())
      for (let read = 0; read < 3000; read++) assert.equal((await results.next()).value?.ok, true)
      await until(() => pulled > 3000 + 512 && Atomics.load(counts, 0) === pulled)
      await turns(50)
      const bound = 3000 + 1024 + 2048 * (parallel + 1)
      assert.ok(pulled <= bound, `${pulled} pulled, 3,000 read, at most ${bound}`)
      for (let read = 0; read < 3000; read++) await results.next()
      assert.ok(pulled > 6000, 'pulls again when they are read')
      await results.return()
      await turns(5)
      const atEnd = pulled
      await turns(20)
      assert.equal(pulled, atEnd)
      assert.equal(Atomics.load(counts, 0) <= pulled, true)
    })

    it('ends the run when the loop is left; running tasks finish', async () => {
      await using lq = queue({ parallel })
      const counts = shared(1)
      let ended = false
      const tasks = function* (): Generator<TaskInput> {
        try {
          for (;;) yield [partial(countLater, 0, 3), [counts]]
        } finally {
          ended = true
        }
      }
      for await (const result of lq.results(tasks())) {
        assert.ok(result.ok)
        break
      }
      assert.ok(ended)
      const atEnd = Atomics.load(counts, 0)
      await turns(50)
      assert.equal(Atomics.load(counts, 0), atEnd, 'nothing runs any more')
    })

    it('yields the error of a task as a result for any stopOnError', async () => {
      await using lq = queue({ parallel })
      const results = await collect(lq.results([partial(add, 1, 2), fails, partial(add, 3, 4)], { ordered: true }))
      assert.deepEqual(
        results.map(result => (result.ok ? result.value : result.error.message.replace(/\(.*?\)/, '()'))),
        [3, 'Task tasks.fails () failed: not this time', 7],
      )
      const [, failed] = results
      assert.ok(failed !== undefined && !failed.ok && failed.error.task === fails)
    })

    it('gives a task its id, attempt and signal, and reports its progress and log', async () => {
      const heard: TaskProgress[] = []
      const lines: string[] = []
      await using lq = queue({
        parallel,
        onProgress: progress => heard.push(progress),
        onLog: (line, { id, task }) => lines.push(`${line} ${id === heard[0]?.id} ${task === given}`),
      })
      const given = partial(ask, 3)
      const [result] = await collect(lq.results([given]))
      assert.ok(result?.ok)
      assert.deepEqual({ ...result.value, id: '' }, { id: '', attempt: 1, aborted: false, same: true })
      assert.equal(result.value.id, heard[0]?.id)
      assert.deepEqual(lines, ["a line 7 { of: 'many' } true true"])
      assert.deepEqual(heard[0], { id: result.value.id, task: given, fraction: 0.25, note: 'a quarter' })
      assert.equal(heard.at(-1)?.fraction, 1, 'the last one is never dropped')
      assert.ok(heard.length < 100, `${heard.length} of 1,002 came through`)
    })

    it('calls callbacks in the async context of the run', async () => {
      const storage = new AsyncLocalStorage<string>()
      const heard = new Set<unknown>()
      const onLog = () => {
        assert.throws(() => context(), /no task is running here/)
        heard.add(storage.getStore())
      }
      await using lq = queue({ parallel, onLog })
      // The second run finds the threads of the first.
      for (const run of ['first', 'second']) await storage.run(run, () => lq.insertAll([partial(ask, 0)]))
      assert.deepEqual([...heard], ['first', 'second'])
    })

    it('ends with the error of a throwing callback', async () => {
      for (const name of ['onProgress', 'onLog']) {
        const thrown = new Error(`${name} throws`)
        const throws = () => {
          throw thrown
        }
        await using lq = queue({ parallel, onLog: () => undefined, [name]: throws })
        await assert.rejects(lq.insertAll([partial(ask, 0)]), thrown)
        await assert.rejects(collect(lq.results([partial(ask, 0)])), thrown)
      }
    })

    it('runs inserted tasks at execute() and at close(), and never after purge()', async () => {
      const counts = shared(4)
      const tasks = [...counting(counts)]
      const lq = queue({ parallel })
      lq.insert(tasks.slice(0, 1))
      lq.insert(new Set(tasks.slice(1, 2)))
      await nextTurn()
      assert.deepEqual([...counts], [0, 0, 0, 0])
      assert.equal(await lq.execute(), 2)
      assert.equal(await lq.execute(), 0)
      lq.insert(tasks.slice(2, 3))
      lq.purge()
      lq.insert(tasks.slice(3))
      await Promise.all([lq.close(), lq.close()])
      assert.deepEqual([...counts], [1, 1, 0, 1])
      for (const late of [() => lq.insertAll([where]), () => lq.execute(), () => collect(lq.results([where]))]) {
        await assert.rejects(
          async () => late(),
          /^Error: Expected the LocalTaskQueue to be open, but close\(\) was called/,
        )
      }
      assert.throws(() => lq.insert([where]), /to be open/)
      {
        await using left = queue({ parallel })
        left.insert(tasks.slice(2, 3))
      }
      assert.deepEqual([...counts], [1, 1, 1, 1])
      const failing = queue({ parallel })
      failing.insert(fails)
      await assert.rejects(failing.close(), { name: 'TaskError' })
    })

    it('close() waits for running tasks, and ends unread results', async () => {
      const counts = shared(2)
      const lq = queue({ parallel })
      const running = lq.insertAll([[partial(countLater, 0, 100), [counts]]])
      const unread = lq.results(counting(counts, Number.POSITIVE_INFINITY))
      await unread.next()
      await lq.close()
      assert.equal(Atomics.load(counts, 0) > 0, true)
      assert.equal(await running, 1)
      await assert.rejects(collect(unread), { name: 'AbortError', message: /stopped by close\(\)/ })
    })

    it('rejects with an AbortError at once for an aborted signal, and later for one that aborts later', async () => {
      const counts = shared(1)
      await using before = queue({ parallel, signal: AbortSignal.abort(new Error('too late')) })
      await assert.rejects(before.insertAll(counting(counts)), (error: unknown) => {
        assert.ok(error instanceof Error && error.name === 'AbortError' && error.cause instanceof Error)
        assert.equal(error.cause.message, 'too late')
        assert.match(error.message, /stopped by its AbortSignal: 0 tasks ran to their end/)
        return true
      })
      await assert.rejects(collect(before.results(counting(counts))), { name: 'AbortError' })
      assert.equal(counts[0], 0)
      const controller = new AbortController()
      await using later = queue({ parallel, signal: controller.signal })
      const waiting = later.insertAll(
        // A source that gives nothing any more must not keep the run from ending.
        (async function* () {
          yield partial(add, 1, 2)
          controller.abort()
          await new Promise(() => undefined)
        })(),
      )
      await assert.rejects(waiting, { name: 'AbortError' })
    })

    it('can be used for several runs at once', async () => {
      await using lq = queue({ parallel })
      const all = Array.from({ length: 5 }, () => shared(200))
      assert.deepEqual(await Promise.all(all.map(counts => lq.insertAll(counting(counts)))), [200, 200, 200, 200, 200])
      for (const counts of all) assert.deepEqual([...counts], once(200))
    })

    it('refuses an invalid task when it is pulled, and a whole array before anything runs', async () => {
      await using lq = queue({ parallel })
      const counts = shared(5)
      const bad: [unknown, RegExp | { name: string }][] = [
        [() => 1, /UnregisteredTaskError: Expected function \(anonymous\) to be registered; write/],
        [{ class: 'NoSuchClass' }, /UnregisteredTaskError: Expected class NoSuchClass to be registered here/],
        [[['tasks', 'nothing'], [], {}, -1], /Error: Expected function nothing of module tasks to be registered here/],
        [partial(add, 1), /TypeError: Expected at least 2 arguments for tasks\.add, got 1/],
        [[partial(add, 1), 'x'], /TypeError: Expected `task` to be a task, or a pair/],
        [{}, /TypeError: Expected `task` to be a task \(partial/],
        [7, /TypeError: Expected `task` to be a task \(partial/],
      ]
      for (const [task, error] of bad) {
        const tasks = [...counting(counts), task] as TaskInput[]
        await assert.rejects(lq.insertAll(tasks), error)
        await assert.rejects(collect(lq.results(tasks)), error)
        assert.throws(() => lq.insert(tasks), error)
        assert.deepEqual([...counts], [0, 0, 0, 0, 0], 'nothing ran')
        await assert.rejects(lq.insertAll(new Set([task]) as Set<TaskInput>), error)
      }
      await assert.rejects(
        lq.insertAll([partial(echo, { on: [() => 1] })]),
        /TypeError: Expected `args\[0\]\.on\[0\]` to be a value that JSON has/,
      )
      for (const tasks of [undefined, null, 7, 'abc']) {
        await assert.rejects(lq.insertAll(tasks as never), /TypeError: Expected `tasks` to be an iterable/)
      }
      await assert.rejects(
        lq.insertAll([], { totl: 1 } as never),
        /TypeError: Expected options of a run to be among total/,
      )
      await assert.rejects(lq.insertAll([], { total: -1 }), /TypeError: Expected `total` to be an integer of 0 or more/)
    })
  })
}

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
