/** Runs of tasks, with threads or without: tests for any number of them. */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { context, LocalTaskQueue, type LocalTaskQueueOptions, partial, type TaskInput, type TaskProgress } from 'ptq'
import {
  Adder,
  add,
  ask,
  awaitUntil,
  count,
  countLater,
  echo,
  fails,
  meet,
  type Shared,
  shared,
  spoil,
  where,
} from './tasks.js'

/** A queue that shows no progress. */
export const queue = (options: LocalTaskQueueOptions = {}) => new LocalTaskQueue({ progress: false, ...options })

/** One task for each counter. */
export function* counting(counts: Shared, howMany = counts.length): Generator<TaskInput<number>> {
  for (let index = 0; index < howMany; index++) yield [partial(count, index), [counts]]
}

/** So many times 1. */
export const once = (howMany: number) => Array.from({ length: howMany }, () => 1)

/** All values, in an array. */
export async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const value of values) all.push(value)
  return all
}

/** Lets the event loop turn until `condition` holds. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 120_000
  while (!condition()) {
    assert.ok(performance.now() < deadline, `waited two minutes for ${condition}`)
    await nextTurn()
  }
}

/** Lets the event loop turn so often. */
export async function turns(howMany: number): Promise<void> {
  for (let turn = 0; turn < howMany; turn++) await nextTurn()
}

/** Adds the tests of runs with so many threads. */
export function testRuns(parallel: number): void {
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
      // Fewer at once, and they would wait for each other without end.
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
