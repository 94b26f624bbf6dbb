import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LeaseLostError, partial, type TaskQueue } from 'ptq'
import { ManualClock } from 'ptq/testing'
import type { Backend } from '#ptq/backend/backend.js'
import { LeaseKeeper } from '#ptq/queue/lease-keeper.js'
import { Leasing } from '#ptq/queue/leasing.js'
import { event, newGate, onEach, recorded, type TestQueue, task } from './queues.js'
import { noop } from './tasks.js'

/** Polls the queue all the time. */
const eager = { minBackoffSeconds: 0.01, maxBackoffSeconds: 0.02 } as const

/** Lets another holder take what is leased now. */
async function takeAway(queue: TestQueue): Promise<TaskQueue> {
  const other = queue.open()
  assert.ok((await other.releaseAll()) > 0)
  assert.ok((await other.lease({ seconds: 600, numTasks: 10 })).length > 0)
  return other
}

describe('leases', { concurrency: 4 }, () => {
  onEach('a worker takes no more slow tasks than it can run at once', async queue => {
    const tq = queue.open()
    await tq.insert(Array.from({ length: 10 }, (_, n) => task('waitAt', `${n}`)))
    const { gate, open } = newGate()
    const both = new Set<string>()
    const running = event(tq.events, 'log', ({ task: { id } }) => both.add(id).size === 2)
    const polling = tq.poll({ parallel: 2, untilEmpty: true, executeArgs: [gate] })
    await running
    assert.equal((await tq.status()).leased, 2)
    assert.equal((await queue.open().lease({ numTasks: 20 })).length, 8)
    open()
    await tq.close()
    assert.equal(await polling, 2)
  })

  for (const parallel of [0, 1]) {
    onEach(
      `tasks that wait behind a slow task are soon released, without an attempt: parallel ${parallel}`,
      async queue => {
        const tq = queue.open()
        const { gate, open } = newGate()
        const stop = new AbortController()
        let succeeded = 0
        const warm = event(tq.events, 'succeeded', () => ++succeeded === 600)
        await tq.insert(Array.from({ length: 600 }, (_, n) => partial(noop, n)))
        const polling = tq.poll({ ...eager, parallel, signal: stop.signal, executeArgs: [gate] })
        // Small tasks: many are leased at once now.
        await warm
        const seen = recorded(tq.events, 'leased', 'released')
        const began = event(tq.events, 'log')
        await tq.insert(Array.from({ length: 20 }, (_, n) => task('waitAt', `${n}`)))
        await began
        // The number of tasks behind the first one depends on the measured durations of the small ones.
        while ((await tq.leased()) > 1) await nextTurn()
        const theirs = await queue.open().lease({ seconds: 600, numTasks: 30 })
        assert.deepEqual(
          theirs.map(({ attempt }) => attempt),
          Array(19).fill(1),
        )
        const count = (step: string) => seen.filter(text => text.startsWith(step)).length
        assert.equal(count('released'), count('leased') - 1)
        stop.abort()
        open()
        assert.equal(await polling, 601)
      },
      ['mem'],
    )
  }

  onEach('a task that blocks its thread for three leases keeps its lease, and runs once', async queue => {
    const clock = new ManualClock(1_800_000_000_000)
    const backend = await queue.clockedBackend(clock)
    const other = await queue.clockedBackend(clock)
    await queue.open().insert([task('blockAt', 'x')])
    const { gate, open } = newGate()
    const options = { parallel: 1, leaseSeconds: 100, untilEmpty: true, executeArgs: [gate] }
    const { worker, events } = await queue.worker(options, { clock, random: () => 0.5, backend })
    const seen = recorded(events, 'started', 'lost')
    const began = event(events, 'log')
    const working = worker.work()
    await began
    for (let half = 0; half < 6; half++) {
      const renewed = event(events, 'renewed')
      clock.advance(50)
      await renewed
      assert.deepEqual(await other.lease({ seconds: 100, max: 1, waitSeconds: 0 }), [])
    }
    open()
    assert.equal(await working, 1)
    assert.equal(seen.length, 1)
  })

  onEach('a task whose lease is lost is aborted, its result is discarded, and the worker continues', async queue => {
    const tq = queue.open()
    await tq.insert([task('waitForAbort')])
    const stop = new AbortController()
    const seen = recorded(tq.events, 'succeeded', 'failed', 'deleting')
    const aborted = event(tq.events, 'log', ({ line }) => line.startsWith('aborted'))
    const began = event(tq.events, 'log')
    const lost = event(tq.events, 'lost')
    const polling = tq.poll({ ...eager, parallel: 1, leaseSeconds: 2, signal: stop.signal })
    await began
    const other = await takeAway(queue)
    assert.match((await aborted).line, /^aborted: LeaseLostError/)
    assert.ok((await lost).error instanceof LeaseLostError)
    await tq.insert([partial(noop, 1)])
    await event(tq.events, 'succeeded')
    stop.abort()
    assert.equal(await polling, 1)
    assert.equal(seen.length, 2)
    assert.equal((await other.status()).leased, 1, 'the next holder keeps it')
  })

  onEach('the thread of a task that continues without its lease is stopped', async queue => {
    const tq = queue.open()
    await tq.insert([task('spinForever')])
    const stop = new AbortController()
    const started = event(tq.events, 'started')
    const polling = tq.poll({ ...eager, parallel: 1, leaseSeconds: 2, signal: stop.signal })
    await started
    await takeAway(queue)
    await event(tq.events, 'lost')
    await tq.insert([partial(noop, 1)])
    await event(tq.events, 'succeeded')
    stop.abort()
    assert.equal(await polling, 1)
  })

  onEach('an inline task that continues without its lease is abandoned', async queue => {
    const tq = queue.open()
    await tq.insert([task('waitAt', 'for ever')])
    const { gate, open } = newGate()
    const stop = new AbortController()
    const began = event(tq.events, 'log')
    const polling = tq.poll({ ...eager, parallel: 0, leaseSeconds: 2, signal: stop.signal, executeArgs: [gate] })
    await began
    await takeAway(queue)
    await event(tq.events, 'lost')
    await tq.insert([partial(noop, 1)])
    await event(tq.events, 'succeeded')
    stop.abort()
    assert.equal(await polling, 1)
    open()
  })

  for (const parallel of [0, 1]) {
    onEach(`a task whose lease is lost before it starts does not start: parallel ${parallel}`, async queue => {
      const tq = queue.open()
      await tq.insert([partial(noop, 1)])
      const started = recorded(tq.events, 'started')
      const lost = event(tq.events, 'lost')
      const stop = new AbortController()
      const beforeFn = async () => {
        await takeAway(queue)
        await lost
        stop.abort()
      }
      assert.equal(await tq.poll({ ...eager, parallel, leaseSeconds: 2, beforeFn, signal: stop.signal }), 0)
      assert.deepEqual(started, [])
    })
  }

  for (const parallel of [0, 1]) {
    onEach(`a task can renew its own lease: parallel ${parallel}`, async queue => {
      const tq = queue.open()
      await tq.insert([task('renewItself', 300)])
      const renewed = event(tq.events, 'renewed')
      const succeeded = event(tq.events, 'succeeded')
      await tq.poll({ parallel, untilEmpty: true })
      assert.equal((await renewed).seconds, 300)
      assert.equal((await succeeded).value, 'renewed')
      for (const [seconds, shown] of [
        [-1, '-1'],
        [0, '0'],
        [1e300, '1e\\+300'],
      ] as const) {
        if (seconds > 1 && queue.kind === 'mem') continue
        await tq.insert([task('renewItself', seconds)])
        const refused = event(tq.events, 'succeeded')
        await tq.poll({ parallel, untilEmpty: true })
        assert.match(
          String((await refused).value),
          new RegExp(`TypeError: Expected \`seconds\` to be .*got \`${shown}\``),
        )
      }
    })
  }

  onEach('a slow afterFn delays neither deletions nor renewals', async queue => {
    const tq = queue.open()
    await tq.insert(Array.from({ length: 3 }, (_, n) => partial(noop, n)))
    let succeeded = 0
    const all = event(tq.events, 'succeeded', () => ++succeeded === 3)
    let after = 0
    const afterFn = async () => {
      after++
      await all
    }
    assert.equal(await tq.poll({ parallel: 1, untilEmpty: true, afterFn }), 3)
    assert.equal(after, 3)
  })
})

describe('LeaseKeeper', () => {
  function newKeeper(leaseSeconds: number) {
    const clock = new ManualClock()
    const calls: { keys: string[]; seconds: number; atMs: number }[] = []
    const lost: string[] = []
    const faults: unknown[] = []
    let answer = async (): Promise<Map<string, Error>> => new Map()
    const keeper = new LeaseKeeper<string>({
      leaseSeconds,
      renew: (keys, seconds) => {
        calls.push({ keys: [...keys], seconds, atMs: clock.nowMs() })
        return answer()
      },
      onLost: key => lost.push(key),
      onFault: error => faults.push(error),
      clock,
    })
    /** Lets time pass in small steps, with turns of the event loop between them. */
    const pass = async (seconds: number) => {
      for (let step = 0; step < seconds * 10; step++) {
        clock.advance(0.1)
        await new Promise(resolve => setImmediate(resolve))
      }
    }
    const setAnswer = (next: typeof answer) => {
      answer = next
    }
    return { clock, keeper, calls, lost, faults, pass, setAnswer }
  }

  it('renews at half the lease, in one batch for leases that are due at nearly the same time', async () => {
    const { keeper, calls, pass } = newKeeper(100)
    keeper.keep('a')
    await pass(3)
    keeper.keep('b')
    await pass(20)
    keeper.keep('c')
    await pass(27.5)
    assert.deepEqual(calls, [{ keys: ['a', 'b'], seconds: 100, atMs: 50_000 }])
    keeper.drop('a')
    keeper.drop('b')
    await pass(49)
    assert.deepEqual(
      calls.slice(1).map(({ keys }) => keys),
      [['c']],
    )
    keeper.close()
    await pass(200)
    assert.equal(calls.length, 2)
  })

  for (const [what, seconds] of [
    ['back', -60],
    ['forward', 86_400],
  ] as const) {
    it(`renews on time when the wall clock is set ${what}`, async () => {
      const { clock, keeper, calls, pass } = newKeeper(100)
      keeper.keep('a')
      await pass(10)
      clock.setDate(seconds)
      await pass(91)
      assert.deepEqual(
        calls.map(({ atMs }) => atMs),
        [50_000, 100_000],
      )
      keeper.close()
    })
  }

  it('reports a lost lease once and does not renew it again', async () => {
    const { keeper, calls, lost, pass, setAnswer } = newKeeper(10)
    setAnswer(async () => new Map([['a', new Error('gone')]]))
    keeper.keep('a')
    keeper.keep('b')
    await pass(12)
    assert.deepEqual(lost, ['a'])
    assert.deepEqual(
      calls.map(({ keys }) => keys),
      [['a', 'b'], ['b']],
    )
    keeper.close()
  })

  it('retries a failed renewal before the lease ends', async () => {
    const { keeper, calls, lost, faults, pass, setAnswer } = newKeeper(10)
    setAnswer(() => Promise.reject(new Error('no route to host')))
    keeper.keep('a')
    await pass(7.5)
    assert.deepEqual(
      calls.map(({ atMs }) => Math.round(atMs / 1000)),
      [5, 6, 7],
    )
    assert.equal(faults.length, 3)
    setAnswer(async () => new Map())
    await pass(10)
    assert.deepEqual(lost, [])
    assert.ok(calls.length <= 5)
    keeper.close()
  })

  it('does not renew a lease that was renewed elsewhere before it is due', async () => {
    const { keeper, calls, pass } = newKeeper(10)
    keeper.keep('a')
    keeper.keep('a', 100)
    await pass(49)
    assert.deepEqual(calls, [])
    await pass(2)
    assert.deepEqual(
      calls.map(({ keys, seconds }) => [keys, seconds]),
      [[['a'], 10]],
    )
    keeper.close()
  })

  it('does not renew a lease again that was dropped during its renewal', async () => {
    const { keeper, calls, lost, pass, setAnswer } = newKeeper(10)
    let answer: ((lost: Map<string, Error>) => void) | undefined
    setAnswer(
      () =>
        new Promise(resolve => {
          answer = resolve
        }),
    )
    keeper.keep('a')
    await pass(6)
    keeper.drop('a')
    answer?.(new Map([['a', new Error('gone')]]))
    await pass(20)
    assert.deepEqual(lost, [])
    assert.equal(calls.length, 1)
  })
})

describe('verbs on one lease', () => {
  onEach('wait for a pending renewal, which changes the handle', async queue => {
    const inner = await queue.backend()
    let renewing: () => void = () => undefined
    const began = new Promise<void>(resolve => {
      renewing = resolve
    })
    let goOn: () => void = () => undefined
    const held = new Promise<void>(resolve => {
      goOn = resolve
    })
    const backend: Backend = new Proxy(inner, {
      get(target, key) {
        if (key === 'renew') {
          return async (...args: Parameters<Backend['renew']>) => {
            // As on a slow filesystem: the file has its new name, and the renewal has not returned yet.
            const [lease] = args[0]
            const handle = lease?.handle
            const result = await target.renew(...args)
            const renewed = lease?.handle
            if (lease !== undefined) lease.handle = handle
            renewing()
            await held
            if (lease !== undefined) lease.handle = renewed
            return result
          }
        }
        const value: unknown = Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const tq = queue.open()
    await tq.insert([partial(noop, 1)])
    const leasing = new Leasing(4)
    const tasks = await leasing.lease(backend, {
      seconds: 5,
      max: 1,
      waitSeconds: 0,
      signal: new AbortController().signal,
    })
    const renewal = leasing.renew(backend, tasks, 60)
    await began
    const second = leasing.renew(backend, tasks, 70)
    const deletion = leasing.delete(backend, tasks, { tally: true })
    goOn()
    assert.deepEqual([...(await renewal).values()], [])
    assert.deepEqual([...(await second).values()], [])
    assert.deepEqual([...(await deletion).values()], [])
    assert.equal(await tq.enqueued(), 0)
  })
})
