import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { partial } from 'ptq'
import { ManualClock } from 'ptq/testing'
import type { Backend } from '#ptq/backend/backend.js'
import { event, newGate, onEach, recorded, task } from './queues.js'
import { noop } from './tasks.js'

const noops = (count: number) => Array.from({ length: count }, (_, n) => partial(noop, n))
const eager = { minBackoffSeconds: 0.01, maxBackoffSeconds: 0.02 } as const

/** A backend that answers to one verb with `answer`, by default never; `called` resolves at its first call. */
function answering(
  backend: Backend,
  verb: keyof Backend,
  answer: Promise<unknown> = new Promise(() => undefined),
): { backend: Backend; called: Promise<void> } {
  let resolve: () => void = () => undefined
  const called = new Promise<void>(resolved => {
    resolve = resolved
  })
  const changed = new Proxy(backend, {
    get(target, key) {
      if (key === verb) {
        return () => {
          resolve()
          return answer
        }
      }
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { backend: changed, called }
}

describe('the end of a worker', () => {
  for (const parallel of [0, 1, 2]) {
    onEach(`an abort: running tasks finish, the others are released: parallel ${parallel}`, async queue => {
      const tq = queue.open()
      const { gate, open } = newGate()
      const stop = new AbortController()
      await tq.insert(Array.from({ length: 5 }, (_, n) => task('waitAt', `${n}`)))
      const running = Math.max(1, parallel)
      const begun = new Set<string>()
      const began = event(tq.events, 'log', ({ task: { id } }) => begun.add(id).size === running)
      const polling = tq.poll({ parallel, signal: stop.signal, executeArgs: [gate], tally: true })
      await began
      stop.abort()
      open()
      assert.equal(await polling, running)
      const { enqueued, leased, completed } = await tq.status()
      assert.deepEqual({ enqueued, leased, completed }, { enqueued: 5 - running, leased: 0, completed: running })
      for (const { attempt } of await tq.lease({ numTasks: 9 })) assert.equal(attempt, 1)
    })

    onEach(`a worker whose signal is aborted before it starts leases nothing: parallel ${parallel}`, async queue => {
      const tq = queue.open()
      await tq.insert(noops(3))
      const leased = recorded(tq.events, 'leased')
      assert.equal(await tq.poll({ parallel, signal: AbortSignal.abort() }), 0)
      assert.equal(await tq.poll({ parallel, until: new Date(0) }), 0)
      assert.deepEqual(leased, [])
    })

    onEach(`close() ends it: parallel ${parallel}`, async queue => {
      const tq = queue.open()
      await tq.insert(noops(50))
      let succeeded = 0
      const all = event(tq.events, 'succeeded', () => ++succeeded === 50)
      const polling = tq.poll({ parallel })
      await all
      await Promise.all([tq.close(), tq.close()])
      assert.equal(await polling, 50)
      await assert.rejects(tq.poll(), /was closed/)
    })

    onEach(
      `tasks of a lease request that is pending at the end are released before poll resolves: parallel ${parallel}`,
      async queue => {
        const inner = await queue.backend()
        let begin: () => void = () => undefined
        const leasing = new Promise<void>(resolve => {
          begin = resolve
        })
        let goOn: () => void = () => undefined
        const held = new Promise<void>(resolve => {
          goOn = resolve
        })
        const backend: Backend = new Proxy(inner, {
          get(target, key) {
            if (key === 'lease') {
              return async (options: Parameters<Backend['lease']>[0]) => {
                const leases = await target.lease(options)
                begin()
                await held
                return leases
              }
            }
            const value: unknown = Reflect.get(target, key)
            return typeof value === 'function' ? value.bind(target) : value
          },
        })
        const tq = queue.open()
        await tq.insert(noops(3))
        const stop = new AbortController()
        const { worker, events } = await queue.worker(
          { parallel, signal: stop.signal, graceSeconds: 1 },
          { clock: new ManualClock(), random: Math.random, backend },
        )
        const seen = recorded(events, 'started', 'released')
        const working = worker.work()
        await leasing
        stop.abort()
        goOn()
        assert.equal(await working, 0)
        assert.ok(seen.length > 0 && seen.every(step => step.startsWith('released')))
        assert.equal((await tq.status()).leased, 0)
        assert.equal((await tq.lease({ numTasks: 5 })).filter(({ attempt }) => attempt === 1).length, 3)
      },
    )
  }

  for (const verb of ['lease', 'delete', 'release'] as const) {
    onEach(`ends after a minute without graceSeconds if the queue never answers to ${verb}`, async queue => {
      const tq = queue.open()
      await tq.insert([verb === 'release' ? task('throwing', 'x') : task('noop', 1)])
      const stop = new AbortController()
      const clock = new ManualClock()
      const { backend, called } = answering(await queue.backend(), verb)
      const environment = { clock, random: Math.random, backend }
      const { worker } = await queue.worker({ parallel: 0, signal: stop.signal }, environment)
      const working = worker.work()
      await called
      clock.advance(200)
      stop.abort()
      for (let turn = 0; turn < 20; turn++) await nextTurn()
      clock.advance(59)
      assert.equal(await Promise.race([working.catch(() => 'ended'), nextTurn('works')]), 'works')
      clock.advance(1)
      await assert.rejects(working, /^Error: The worker stopped, and .* did not answer within 60 s: what it still held/)
    })
  }

  onEach('a lease that fails after the stop, since the server is away, is no error of the worker', async queue => {
    let fail: (error: Error) => void = () => undefined
    const failed = new Promise((_, reject) => {
      fail = reject
    })
    const { backend, called } = answering(await queue.backend(), 'lease', failed)
    const stop = new AbortController()
    const environment = { clock: new ManualClock(), random: Math.random, backend }
    const { worker } = await queue.worker({ parallel: 0, signal: stop.signal }, environment)
    const working = worker.work()
    await called
    stop.abort()
    fail(new Error('Could not lease: the server does not answer'))
    assert.equal(await working, 0)
  })

  onEach('waits without graceSeconds as long as a task and afterFn take', async queue => {
    const tq = queue.open()
    await tq.insert([task('waitAt', 'x')])
    const stop = new AbortController()
    const clock = new ManualClock()
    const { gate, open } = newGate()
    let goOn: () => void = () => undefined
    const after = new Promise<void>(resolve => {
      goOn = resolve
    })
    let begin: () => void = () => undefined
    const begun = new Promise<void>(resolve => {
      begin = resolve
    })
    const { worker, events } = await queue.worker(
      {
        parallel: 0,
        signal: stop.signal,
        executeArgs: [gate],
        afterFn: () => {
          begin()
          return after
        },
      },
      { clock, random: Math.random },
    )
    const running = event(events, 'log')
    const working = worker.work()
    await running
    stop.abort()
    clock.advance(200)
    open()
    await begun
    clock.advance(200)
    goOn()
    assert.equal(await working, 1)
  })

  onEach('many workers and inserts of one queue object leak no listeners and end together', async queue => {
    const tq = queue.open()
    const warnings: string[] = []
    const listener = ({ message }: Error) => warnings.push(message)
    process.on('warning', listener)
    const many = <T>(start: () => Promise<T>) => Promise.all(Array.from({ length: 12 }, start))
    await many(() => tq.insert(noops(5)))
    let succeeded = 0
    const all = event(tq.events, 'succeeded', () => ++succeeded === 60)
    const polling = many(() => tq.poll({ ...eager, parallel: 0, tally: true }))
    await all
    await tq.close()
    const executed = await polling
    assert.equal(
      executed.reduce((sum, ran) => sum + ran, 0),
      60,
    )
    process.off('warning', listener)
    assert.deepEqual(warnings, [])
    assert.equal(await queue.open().completed(), 60)
  })

  for (const [name, parallel] of [
    ['spinForever', 1],
    ['waitForAbort', 1],
    ['waitAt', 0],
  ] as const) {
    onEach(`after graceSeconds running tasks are stopped and released: ${name}`, async queue => {
      const tq = queue.open()
      const { gate, open } = newGate()
      await tq.insert([name === 'waitAt' ? task(name, 'x') : task(name)])
      const stop = new AbortController()
      const seen = recorded(tq.events, 'released', 'failed', 'succeeded', 'lost')
      const started = event(tq.events, 'started')
      const polling = tq.poll({
        parallel,
        signal: stop.signal,
        graceSeconds: 0.1,
        ...(name === 'waitAt' && { executeArgs: [gate] }),
      })
      await started
      stop.abort()
      assert.equal(await polling, 0)
      assert.deepEqual(
        seen.map(step => step.split(' ')[0]),
        ['released'],
      )
      const [given] = await tq.lease()
      assert.equal(given?.attempt, 1)
      open()
    })
  }

  onEach('until ends the wait for tasks', async queue => {
    const tq = queue.open()
    await tq.insert(noops(1))
    const clock = new ManualClock(1_000_000)
    const { worker, events } = await queue.worker(
      { until: new Date(1_100_000), minBackoffSeconds: 3600, maxBackoffSeconds: 3600 },
      { clock, random: () => 0.5 },
    )
    const halfOfIt = async () => {
      // What ends too early looks for tasks again in these turns.
      for (let turn = 0; turn < 100; turn++) await nextTurn()
      clock.advance(50)
    }
    const waits: number[] = []
    events.on('idle', ({ waitSeconds }) => {
      waits.push(waitSeconds)
      void halfOfIt().then(() => (waits.length === 1 ? halfOfIt() : undefined))
    })
    assert.equal(await worker.work(), 1)
    assert.deepEqual(waits, [1800])
  })

  onEach('a task starts only if it would end before until, judged by the longest run so far', async queue => {
    const tq = queue.open()
    const { gate, open } = newGate()
    await tq.insert([task('waitAt', 'x')])
    const clock = new ManualClock()
    const { worker, events } = await queue.worker(
      { parallel: 1, until: new Date(10_000), executeArgs: [gate], stopFn: () => false },
      { clock, random: () => 0.5 },
    )
    const leased = recorded(events, 'leased')
    // The thread measures the run by its own clock: this is the least that it lasts.
    events.on('log', () => setTimeout(open, 50))
    let inserted: Promise<number> | undefined
    events.on('succeeded', () => {
      // Less than that is left.
      clock.advance(9.98)
      inserted = tq.insert(noops(1))
    })
    assert.equal(await worker.work(), 1)
    await inserted
    assert.equal(leased.length, 1)
    assert.equal(await tq.enqueued(), 1)
  })

  onEach('until defaults to SLURM_JOB_END_TIME', async queue => {
    const tq = queue.open()
    await tq.insert(noops(1))
    const leased = recorded(tq.events, 'leased')
    process.env.SLURM_JOB_END_TIME = '1000'
    const warned = new Promise<Error>(resolve => process.once('warning', resolve))
    try {
      assert.equal(await tq.poll({ ...eager }), 0)
      assert.match((await warned).message, /SLURM_JOB_END_TIME says that its job was over at 1970-01-01T00:16:40\.000Z/)
      assert.deepEqual(leased, [])
      process.env.SLURM_JOB_END_TIME = String(Math.floor(Date.now() / 1000) + 3600)
      assert.equal(await tq.poll({ ...eager, untilEmpty: true }), 1)
      process.env.SLURM_JOB_END_TIME = 'never'
      assert.equal(await tq.poll({ ...eager, untilEmpty: true }), 0)
    } finally {
      delete process.env.SLURM_JOB_END_TIME
    }
  })
})
