import assert from 'node:assert/strict'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { partial, type TaskInput } from 'ptq'
import { BusyThread } from '#ptq/threads/busy-thread.js'
import type { Call } from '#ptq/threads/call.js'
import { Chunk } from '#ptq/threads/chunk.js'
import { CrashReports } from '#ptq/threads/crash-reports.js'
import { monotonicMs } from '#ptq/time/monotonic.js'
import { fail, heed, leaveBehind, outstay } from './bad-tasks.js'
import { collect, errorOf, queue, testEachWay } from './failing-ways.js'
import { exits } from './files/exits.js'
import { registersNothing } from './files/registers-nothing.js'
import { throws } from './files/throws.js'
import { checkThatNothingIsLeft } from './nothing-left.js'
import { awaitUntil, blockUntil, count, countLater, type Shared, shared, stay, where } from './tasks.js'

checkThatNothingIsLeft()

testEachWay(1, 1)

it('tasks that end their thread, as many as are allowed, do not end the run', async () => {
  await using lq = queue({ parallel: 2, stopOnError: false })
  const counts = shared(12)
  const tasks = Array.from(counts, (_, index): TaskInput => [partial(fail, 'exits', index), [counts]])
  await assert.rejects(lq.insertAll(tasks), { name: 'AggregateError', message: '12 of 12 tasks failed' })
  assert.deepEqual([...counts], new Array(12).fill(1))
})

describe('tasks in a thread that another task ends', () => {
  it('fail if they were running, and run in another thread if they had not started', async () => {
    await using lq = queue({ parallel: 1, concurrency: 3 })
    const counts = shared(40)
    const tasks: TaskInput[] = [
      [partial(awaitUntil, 0, 1_000), [counts]],
      [partial(awaitUntil, 0, 1_000), [counts]],
      [partial(fail, 'exitsLater', 1), [counts]],
      ...Array.from({ length: 30 }, (_, index): TaskInput => [partial(countLater, index + 2, 2), [counts]]),
    ]
    const results = await collect(lq.results(tasks, { ordered: true }))
    for (const victim of [0, 1]) {
      const { cause } = errorOf(results[victim])
      assert.ok(cause instanceof Error && cause.cause instanceof Error)
      assert.equal(cause.message, 'The thread was ended by another task that ran in it')
      assert.match(cause.cause.message, /process\.exit\(4\)/)
    }
    assert.match(errorOf(results[2]).message, /process\.exit\(4\)/)
    assert.ok(results.slice(3).every(({ ok }) => ok))
    assert.deepEqual([...counts.subarray(1, 32)], new Array(31).fill(1))
  })

  it('are not stopped with a task whose time-out passed while they have time left', async () => {
    await using lq = queue({ parallel: 1, concurrency: 2, timeoutSeconds: 1 })
    const counts = shared(2)
    let others = 0
    let after = 0
    // While the first one hangs, the others continue in its thread, also after it was asked to end; it is stopped when they are done.
    const tasks = async function* (): AsyncGenerator<TaskInput> {
      yield [partial(outstay, 0), [counts]]
      for (; after < 20; others++) {
        await nextTurn()
        if (Atomics.load(counts, 0) > 0) after++
        yield [partial(countLater, 1, 20), [counts]]
      }
    }
    const results = await collect(lq.results(tasks(), { ordered: true }))
    assert.equal((errorOf(results[0]).cause as Error).name, 'TimeoutError')
    assert.ok(results.slice(1).every(({ ok }) => ok))
    assert.deepEqual([...counts], [1, others])
  })
})

describe('a task that responds to its abort signal', () => {
  it('fails after its time-out however it ends, and its thread continues', async () => {
    await using lq = queue({ parallel: 1, timeoutSeconds: 0.5 })
    const tasks: TaskInput[] = [where, partial(heed, false), where, partial(heed, true), where]
    const results = await collect(lq.results(tasks, { ordered: true }))
    for (const index of [1, 3]) assert.equal((errorOf(results[index]).cause as Error).name, 'TimeoutError')
    const threads = [0, 2, 4].map(index => {
      const result = results[index]
      return result?.ok && result.value
    })
    assert.equal(new Set(threads).size, 1, 'all in one thread')
    await assert.rejects(lq.insertAll(partial(heed, true)), /TaskError: .*timeoutSeconds/)
  })
})

describe('code that a task leaves running', () => {
  const warnings: Error[] = []
  const listen = (warning: Error) => warnings.push(warning)
  let keepAlive: NodeJS.Timeout | undefined
  let printers: ((warning: Error) => void)[] = []
  beforeEach(() => {
    printers = process.rawListeners('warning') as typeof printers
    process.removeAllListeners('warning')
    // Idle threads don't keep the process alive, and these tests wait for what idle threads do.
    keepAlive = setInterval(() => undefined, 1_000)
  })
  afterEach(() => {
    clearInterval(keepAlive)
    process.removeAllListeners('warning')
    for (const printer of printers) process.on('warning', printer)
  })

  it('and that throws later causes a warning, during another run and while the thread idles', async () => {
    process.on('warning', listen)
    await using lq = queue({ parallel: 1 })
    for (const busy of [true, false]) {
      warnings.length = 0
      const counts = shared(3)
      await lq.insertAll([[partial(leaveBehind, 'throw'), [counts]]])
      const warned = once(process, 'warning')
      Atomics.store(counts, 0, 1)
      const run = busy ? lq.insertAll([[partial(countLater, 1, 50), [counts]]]) : Promise.resolve(1)
      await warned
      assert.equal(await run, 1)
      assert.equal(warnings.length, 1)
      assert.match(warnings[0]?.message ?? '', /^Task .+-0, after its end, threw in a pool thread: a leftover$/)
    }
  })

  it('and that ends the thread later is the error of the tasks running there', async () => {
    await using lq = queue({ parallel: 1 })
    const counts = shared(3)
    await lq.insertAll([[partial(leaveBehind, 'exit'), [counts]]])
    const results = collect(lq.results([[partial(stay, 2), [counts]] satisfies TaskInput, where]))
    while (Atomics.load(counts, 2) === 0) await nextTurn()
    Atomics.store(counts, 0, 1)
    const [victim, next] = await results
    const { cause } = errorOf(victim)
    assert.ok(cause instanceof Error && cause.cause instanceof Error)
    assert.equal(cause.message, 'The thread was ended by another task that ran in it')
    assert.match(cause.cause.message, /process\.exit\(5\)/)
    assert.equal(next?.ok, true)
  })

  it('and that ends the thread while it idles fails no task', async () => {
    await using lq = queue({ parallel: 1 })
    const counts = shared(3)
    const before = await collect(lq.results([[partial(leaveBehind, 'exit'), [counts]] satisfies TaskInput]))
    Atomics.store(counts, 0, 1)
    // The thread may die just before or just after it is given the next task; either way that task runs or is reported.
    const after = await collect(lq.results(Array.from({ length: 5 }, () => where)))
    assert.ok(before[0]?.ok)
    assert.ok(after.filter(({ ok }) => !ok).length <= 1)
  })
})

describe('a file of tasks', () => {
  const bad: [string, (index: number) => number, RegExp][] = [
    ['throws', throws, /^Expected file:.*throws\.js to load in a thread, but it threw: not in a thread$/],
    ['exits', exits, /^Expected file:.*exits\.js to load in a thread, but it ended the thread$/],
    [
      'registers nothing',
      registersNothing,
      /^Expected file:.*registers-nothing\.js to register registers-nothing\.registersNothing when a thread imports it; reg/,
    ],
  ]
  for (const [what, fn, message] of bad) {
    for (const parallel of [1, 2]) {
      it(`that ${what} in a thread fails only its own tasks; parallel: ${parallel}`, async () => {
        await using lq = queue({ parallel })
        const howMany = 30
        const counts = shared(howMany)
        const tasks = Array.from({ length: howMany }, (_, index): TaskInput => {
          return index % 10 === 5 ? partial(fn, index) : [partial(count, index), [counts]]
        })
        const results = await collect(lq.results(tasks, { ordered: true }))
        assert.equal(results.length, howMany)
        for (const [index, result] of results.entries()) {
          assert.equal(result.ok, index % 10 !== 5, `task ${index}`)
          assert.equal(counts[index], index % 10 === 5 ? 0 : 1)
          if (!result.ok) assert.match((result.error.cause as Error).message, message)
        }
        if (what === 'throws') {
          const { cause } = errorOf(results[5]).cause as Error
          assert.ok(cause instanceof Error && cause.message === 'not in a thread' && cause.cause instanceof RangeError)
        }
        await assert.rejects(lq.insertAll([partial(fn, 1)]), { name: 'TaskError' })
      })
    }
  }
})

describe('a file that never finishes loading', () => {
  const call = { code: { kind: 'class', name: 'X', url: 'file:///x.js' }, extra: [], attempt: 1 } as unknown as Call
  const settings = {
    idPrefix: '',
    postAll: false,
    wantsValues: undefined,
    concurrency: 1,
    maxMemoryMb: undefined,
    timeoutMs: 100,
  }

  it('is given up after timeoutSeconds, but not before 30 s, since that limit is meant for tasks', () => {
    for (const [timeoutMs, limitMs] of [
      [100, 30_000],
      [60_000, 60_000],
    ] as const) {
      const thread = new BusyThread(new Chunk([call], settings), 0)
      assert.equal(thread.isStuck(timeoutMs, monotonicMs() + 2 * limitMs), false)
      thread.load('file:///x.js')
      assert.equal(thread.isStuck(timeoutMs, monotonicMs() + limitMs - 1_000), false)
      assert.equal(thread.isStuck(timeoutMs, monotonicMs() + limitMs), true)
      const { waiting, lost, notLoaded, fatal } = new CrashReports(undefined).report(thread, new Error('ended'))
      assert.deepEqual(
        { waiting, lost, url: notLoaded?.url, fatal },
        {
          waiting: [call],
          lost: [],
          url: 'file:///x.js',
          fatal: undefined,
        },
      )
      thread.load(undefined)
      assert.equal(thread.isStuck(timeoutMs, monotonicMs() + 2 * limitMs), false)
    }
  })
})

describe('a thread that cannot start', () => {
  it('gives one clear error', async () => {
    await using lq = queue({ parallel: 2, maxMemoryMb: 1 })
    await assert.rejects(
      lq.insertAll(Array.from({ length: 10 }, () => where)),
      /^Error: Expected threads to run tasks\.where, but \d in a row died before any task began; .* raise maxMemoryMb$/,
    )
  })
})

describe('a failure in a run with stopOnError', () => {
  it('lets running tasks finish, and starts no more', async () => {
    await using lq = queue({ parallel: 2 })
    const counts: Shared = shared(4)
    const tasks = async function* (): AsyncGenerator<TaskInput> {
      yield [partial(blockUntil, 0, 1), [counts]]
      while (Atomics.load(counts, 1) === 0) await nextTurn()
      yield [partial(fail, 'throws', 2), [counts]]
      for (;;) yield [partial(count, 3), [counts]]
    }
    let ended = false
    const run = assert.rejects(lq.insertAll(tasks()), /TaskError: .*thrown at once/).finally(() => {
      ended = true
    })
    while (Atomics.load(counts, 2) === 0) await nextTurn()
    for (let turn = 0; turn < 100; turn++) await nextTurn()
    assert.equal(ended, false, 'the first task is still running')
    Atomics.store(counts, 0, 1)
    await run
    assert.deepEqual([counts[0], counts[1], counts[2]], [1, 1, 1])
  })
})
