import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { inspect } from 'node:util'
import { LocalTaskQueue, type LocalTaskQueueOptions, partial, TaskError } from 'ptq'
import { checkThatNothingIsLeft } from './nothing-left.js'
import { add, shared } from './tasks.js'
import { double, failFrom, leftBehind, moving, sizeOf, spin, throwPlain, untilAborted, yearOf } from './values-tasks.js'

checkThatNothingIsLeft()

const queue = (options: LocalTaskQueueOptions = {}) => new LocalTaskQueue({ progress: false, ...options })

async function errorOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('Expected a rejection')
}

for (const parallel of [0, 1, 2]) {
  describe(`parallel: ${parallel}`, () => {
    it('run resolves with the value of its task, sequentially and concurrently', async () => {
      await using lq = queue({ parallel })
      for (let i = 0; i < 20; i++) assert.equal(await lq.run(partial(add, i, 1)), i + 1)
      const values: number[] = await Promise.all(Array.from({ length: 3000 }, (_, i) => lq.run(partial(add, i, 1))))
      assert.deepEqual(
        values,
        Array.from({ length: 3000 }, (_, i) => i + 1),
      )
    })

    it('run rejects with the TaskError of its own task, others resolve', async () => {
      await using lq = queue({ parallel })
      const settled = await Promise.allSettled([1, 2, 3].map(n => lq.run(partial(failFrom, 2, n))))
      assert.deepEqual(
        settled.map(({ status }) => status),
        ['fulfilled', 'rejected', 'rejected'],
      )
      const error = await errorOf(lq.run(partial(failFrom, 0, 9)))
      assert.ok(error instanceof TaskError)
      assert.ok(error.cause instanceof RangeError)
      await assert.rejects(lq.run(null as never), TypeError)
    })

    it('map returns the values in the order of sync and async inputs, which need no JSON form', async () => {
      await using lq = queue({ parallel })
      const inputs = Array.from({ length: 3000 }, (_, i) => i)
      const doubled: number[] = await lq.map(double, inputs)
      assert.deepEqual(
        doubled,
        inputs.map(n => 2 * n),
      )
      const later = (async function* () {
        for (const n of inputs) yield n
      })()
      assert.deepEqual(
        await lq.map(partial(add, 1), later),
        inputs.map(n => n + 1),
      )
      assert.deepEqual(await lq.map(yearOf, new Set([new Date(0)])), [1970])
      assert.deepEqual(await lq.map(double, []), [])
    })

    it('map rejects with the first failure and starts no more; with stopOnError: false with an AggregateError of all', async () => {
      await using lq = queue({ parallel })
      let pulled = 0
      let returned = false
      const endless = function* () {
        try {
          for (;;) yield pulled++
        } finally {
          returned = true
        }
      }
      const error = await errorOf(lq.map(partial(failFrom, 3), endless()))
      assert.ok(error instanceof TaskError)
      assert.ok(returned)
      const all = await errorOf(lq.map(partial(failFrom, 2), [1, 2, 3], { stopOnError: false }))
      assert.ok(all instanceof AggregateError)
      assert.equal(all.errors.length, 2)
      const broken = new Error('no more')
      const throwing = function* () {
        yield 1
        throw broken
      }
      assert.equal(await errorOf(lq.map(double, throwing())), broken)
    })

    it('an abort ends a running task, rejects with its reason and leaves no listener', async () => {
      await using lq = queue({ parallel })
      for (const call of ['run', 'map'] as const) {
        const state = shared(1)
        const controller = new AbortController()
        const { signal } = controller
        const running =
          call === 'run' ? lq.run([untilAborted, [state]], { signal }) : lq.map(untilAborted, [state], { signal })
        const error = errorOf(running)
        while (Atomics.load(state, 0) === 0) await nextTurn()
        const reason = new Error('enough')
        controller.abort(reason)
        assert.equal(await error, reason)
        assert.equal(getEventListeners(signal, 'abort').length, 0)
        assert.equal(await errorOf(lq.run(partial(add, 1, 2), { signal })), reason)
      }
    })

    it('an abort removes tasks that have not started, and the others continue', async () => {
      await using lq = queue({ parallel })
      const controller = new AbortController()
      const { signal } = controller
      const kept = Array.from({ length: 100 }, (_, i) => lq.run(partial(add, i, 0)))
      const dropped = Promise.allSettled(Array.from({ length: 100 }, () => lq.run(partial(add, 1, 1), { signal })))
      controller.abort('changed my mind')
      for (const result of await dropped) assert.deepEqual(result, { status: 'rejected', reason: 'changed my mind' })
      assert.equal((await Promise.all(kept)).length, 100)
      assert.equal(await lq.run(partial(add, 1, 1)), 2)
    })

    it('close waits for calls in progress and refuses later ones', async () => {
      const lq = queue({ parallel })
      const running = lq.run(partial(add, 1, 2))
      const mapping = lq.map(double, [1, 2])
      await lq.close()
      assert.equal(await running, 3)
      assert.deepEqual(await mapping, [2, 4])
      await assert.rejects(lq.run(partial(add, 1, 2)), /close\(\) was called/)
      await assert.rejects(lq.map(double, [1]), /close\(\) was called/)
    })
  })
}

describe('threads', () => {
  it('20,000 calls leave no listener on their signal', async () => {
    await using lq = queue({ parallel: 2 })
    const { signal } = new AbortController()
    await Promise.all(Array.from({ length: 20_000 }, (_, i) => lq.run(partial(add, i, 1), { signal })))
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })

  it('timeoutSeconds of a call ends that task alone', async () => {
    await using lq = queue({ parallel: 2 })
    const spinning = errorOf(lq.run(spin, { timeoutSeconds: 0.1 }))
    assert.equal(await lq.run(partial(add, 1, 2)), 3)
    assert.match(String((await spinning).message), /spin .* failed: .*timeoutSeconds/)
    await using here = queue({ parallel: 0 })
    await assert.rejects(here.run(partial(add, 1, 2), { timeoutSeconds: 1 }), /only a thread can be stopped/)
  })

  it('move() leaves a whole buffer empty in the thread, and copies a part of one', async () => {
    await using lq = queue({ parallel: 1 })
    assert.equal((await lq.run(partial(moving, 'all'))).bytes.byteLength, 64)
    assert.equal(await lq.run(leftBehind), 0)
    assert.equal((await lq.run(partial(moving, 'part'))).bytes.byteLength, 63)
    assert.equal(await lq.run(leftBehind), 64)
  })

  it('transfer: true moves the inputs of map and the extra arguments of run', async () => {
    for (const concurrency of [1, 3]) {
      await using lq = queue({ parallel: 2, concurrency })
      const inputs = Array.from({ length: 30 }, () => new Uint8Array(100))
      assert.deepEqual(
        await lq.map(sizeOf, inputs, { transfer: true }),
        inputs.map(() => 100),
      )
      if (concurrency === 1) for (const input of inputs) assert.equal(input.byteLength, 0)
      const bytes = new Uint8Array(10)
      assert.equal(await lq.run([sizeOf, [bytes]], { transfer: true }), 10)
      assert.equal(bytes.byteLength, 0)
      // Missing in Node's types.
      const { WebAssembly } = globalThis as unknown as {
        WebAssembly: { Memory: new (size: object) => { buffer: ArrayBuffer } }
      }
      const memory = new WebAssembly.Memory({ initial: 1 })
      assert.deepEqual(await lq.map(sizeOf, [new Uint8Array(memory.buffer)], { transfer: true }), [65_536])
    }
  })
})

describe('the printed error of a failed task', () => {
  const ours = /[\\/]dist[\\/](src|workers)[\\/](local|threads)/

  it("shows the caller's line, the call with short arguments, the cause, and no frames of this package", async () => {
    await using lq = queue()
    const tasks = [[throwPlain, ['x'.repeat(10_000)]] as const]
    const calls: Record<string, () => Promise<unknown>> = {
      insertAll: () => lq.insertAll(tasks),
      run: () => lq.run([throwPlain, ['x'.repeat(10_000)]]),
      map: () => lq.map(throwPlain, ['x'.repeat(10_000)]),
      results: async () => {
        for await (const result of lq.results(tasks)) if (!result.ok) throw result.error
      },
    }
    for (const [name, call] of Object.entries(calls)) {
      const error = await errorOf(call())
      for (const text of [String(error.stack), inspect(error)]) {
        assert.match(text, /^TaskError: Task values-tasks\.throwPlain \(.*\) failed: \{ code: 5 \}\n/, name)
        assert.match(text, /in values-tasks\.throwPlain\('x+'\.\.\. \d+ more characters\)\n/, name)
        assert.match(text, /\n +at .*values\.test/, name)
        assert.doesNotMatch(text, ours, name)
        assert.doesNotMatch(text, /object Object/, name)
        assert.ok(text.length < 2000, `${name}: ${text.length}`)
      }
    }
  })

  it('shows where the call is awaited, also for many calls at once and behind functions of the caller', async () => {
    await using lq = queue()
    const own = () => lq.run(partial(failFrom, 0, 1))
    async function ownLater() {
      await nextTurn()
      return await own()
    }
    async function awaitAll() {
      await Promise.all([own(), own()])
    }
    for (const [caller, call] of Object.entries({ ownLater, awaitAll })) {
      const error = await errorOf(call())
      assert.match(String(error.stack), new RegExp(`\\n +at async .*${caller}.*values\\.test`), caller)
    }
  })

  it("shows the task's own error once with its line in the task", async () => {
    await using lq = queue()
    const error = await errorOf(lq.run(partial(failFrom, 0, 1)))
    for (const text of [String(error.stack), inspect(error)]) {
      assert.equal(text.match(/RangeError: no 1/g)?.length, 1, text)
      assert.match(text, /at .*failFrom .*values-tasks/)
    }
  })

  it('shows the first three of an AggregateError of 1,000 failures, and their number', async () => {
    await using lq = queue({ stopOnError: false })
    const error = await errorOf(lq.map(partial(failFrom, 0), Array(1000).keys()))
    assert.ok(error instanceof AggregateError)
    assert.equal(error.errors.length, 1000)
    for (const text of [String(error.stack), inspect(error)]) {
      assert.match(text, /^AggregateError: 1000 of 1000 tasks failed\n/)
      assert.match(text, /the first 3 errors of 1000/)
      assert.equal(text.match(/TaskError: Task/g)?.length, 3)
      assert.match(text, /values\.test/)
    }
  })
})
