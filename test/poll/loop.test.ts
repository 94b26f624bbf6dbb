import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, mock } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type LeasedTask, type PollState, partial } from 'ptq'
import { ManualClock } from 'ptq/testing'
import { Backoff } from '#ptq/poll/backoff.js'
import { linesOf } from './ledger.js'
import { event, newGate, onEach, recorded, task } from './queues.js'
import { Greeting, noop } from './tasks.js'

const tasks = (count: number) => Array.from({ length: count }, (_, n) => partial(noop, n))

describe('the loop', () => {
  for (const parallel of [0, 1, 2]) {
    onEach(
      `runs and removes every task, returns the count, and tallies if requested: parallel ${parallel}`,
      async queue => {
        const tq = queue.open()
        await tq.insert(tasks(300))
        const values: unknown[] = []
        tq.events.on('succeeded', ({ value, durationSeconds }) => {
          assert.ok(durationSeconds >= 0)
          values.push(value)
        })
        assert.equal(await tq.poll({ parallel, untilEmpty: true, tally: true }), 300)
        assert.deepEqual(
          values.map(Number).sort((a, b) => a - b),
          Array.from({ length: 300 }, (_, n) => n),
        )
        assert.equal(await tq.completed(), 300)
        assert.equal(await tq.enqueued(), 0)
        await tq.insert(tasks(3))
        assert.equal(await tq.poll({ parallel, untilEmpty: true }), 3)
        assert.equal(await tq.completed(), 300)
      },
    )
  }

  onEach('runs classes, and passes extra arguments to execute', async queue => {
    const tq = queue.open()
    await tq.insert([new Greeting({ name: 'you' })])
    const { value } = await oneValue(tq, {})
    assert.equal(value, 'Hello, you')
    await tq.insert([task('addExtra', 1)])
    const sum = await oneValue(tq, { executeArgs: [2, { n: 4 }] })
    assert.equal(sum.value, 7)
  })

  onEach(
    'sends return values to the main thread only if something listens, and never fails a task for them',
    async queue => {
      const tq = queue.open()
      const ledger = join(queue.folder, 'ledger')
      const options = { parallel: 1, untilEmpty: true, maxAttempts: 1 } as const
      await tq.insert([task('uncloneable'), task('lookedAt', ledger)])
      let deleted = 0
      tq.events.on('deleted', () => deleted++)
      const print = mock.method(console, 'log', () => undefined)
      try {
        assert.equal(await tq.poll({ ...options, verbose: true }), 2)
      } finally {
        print.mock.restore()
      }
      assert.equal(deleted, 2)
      assert.deepEqual(linesOf(ledger), [])
      await tq.insert([task('uncloneable'), task('lookedAt', ledger), task('noop', 1)])
      const values: unknown[] = []
      tq.events.on('succeeded', ({ value }) => values.push(value))
      assert.equal(await tq.poll(options), 3)
      assert.equal(linesOf(ledger).length, 1)
      assert.deepEqual(new Set(values), new Set([undefined, { field: 1 }, 1]))
    },
  )

  for (const name of ['beforeFn', 'afterFn'] as const) {
    onEach(`${name} may close the queue and await that`, async queue => {
      const tq = queue.open()
      await tq.insert(tasks(5))
      let closed = 0
      const close = async () => {
        await tq.close()
        assert.equal((await queue.open().status()).leased, 0)
        closed++
      }
      const executed = await tq.poll({ parallel: 0, [name]: close })
      await tq.close()
      await nextTurn()
      const { enqueued, leased } = await queue.open().status()
      assert.deepEqual({ enqueued, leased }, { enqueued: 5 - executed, leased: 0 })
      while (closed === 0) await nextTurn()
    })
  }

  onEach('waits for a callback that closes another queue', async queue => {
    const tq = queue.open()
    await tq.insert(tasks(3))
    let ended = 0
    const afterFn = async () => {
      await queue.open().close()
      for (let turn = 0; turn < 5; turn++) await nextTurn()
      ended++
    }
    assert.equal(await tq.poll({ parallel: 0, untilEmpty: true, afterFn }), 3)
    assert.equal(ended, 3)
  })

  onEach('reports an error that such a callback throws after the close', async queue => {
    // The test runner would take it for a failure of the test.
    const runners = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    const unhandled = new Promise(resolve => process.once('unhandledRejection', resolve))
    const tq = queue.open()
    await tq.insert(tasks(1))
    const afterFn = async () => {
      await tq.close()
      throw new Error('too late')
    }
    assert.equal(await tq.poll({ parallel: 0, afterFn }), 1)
    assert.match(String(await unhandled), /too late/)
    for (const runner of runners) process.on('unhandledRejection', runner)
  })

  onEach('calls beforeFn before each run and afterFn after each removal; both may be async', async queue => {
    const tq = queue.open()
    await tq.insert(tasks(5))
    const steps: string[] = []
    const names = new Map<string, string>()
    const note = (step: string) => async (leased: LeasedTask) => {
      await nextTurn()
      names.set(leased.id, `${leased.payload()}`)
      steps.push(`${step} ${leased.id}`)
    }
    tq.events.on('started', ({ task: { id } }) => steps.push(`started ${id}`))
    tq.events.on('succeeded', ({ task: { id } }) => steps.push(`succeeded ${id}`))
    assert.equal(await tq.poll({ parallel: 1, untilEmpty: true, beforeFn: note('before'), afterFn: note('after') }), 5)
    assert.equal(names.size, 5)
    for (const id of names.keys()) {
      const own = steps.filter(step => step.endsWith(id)).map(step => step.split(' ')[0])
      assert.deepEqual(own, ['before', 'started', 'succeeded', 'after'])
    }
    assert.equal(
      await tq.poll({ parallel: 1, untilEmpty: true, beforeFn: () => undefined, afterFn: () => undefined }),
      0,
    )
  })

  for (const parallel of [0, 1]) {
    onEach(`a throwing beforeFn ends the worker, and no task stays leased: parallel ${parallel}`, async queue => {
      for (const beforeFn of [
        () => {
          throw new Error('no good')
        },
        () => Promise.reject(new Error('no good')),
      ]) {
        const tq = queue.open()
        await tq.purge().catch(() => undefined)
        await tq.insert(tasks(20))
        const began = recorded(tq.events, 'started')
        await assert.rejects(tq.poll({ parallel, beforeFn }), /no good/)
        assert.deepEqual(began, [])
        assert.equal((await tq.status()).leased, 0)
        assert.equal((await tq.lease())[0]?.attempt, 1)
        await tq.close()
      }
    })
  }

  onEach('a throwing afterFn ends the worker; it is still called for each removed task', async queue => {
    const tq = queue.open()
    await tq.insert(tasks(20))
    let called = 0
    const afterFn = async () => {
      if (++called === 3) throw new Error('no good')
    }
    await assert.rejects(tq.poll({ parallel: 1, afterFn }), /no good/)
    const { enqueued, leased } = await tq.status()
    assert.ok(called >= 3)
    assert.deepEqual({ enqueued, leased }, { enqueued: 20 - called, leased: 0 })
  })

  for (const parallel of [0, 1]) {
    onEach(`stopFn ends the worker after exactly that many tasks: parallel ${parallel}`, async queue => {
      const tq = queue.open()
      await tq.insert(tasks(30))
      const states: PollState[] = []
      const stopFn = (state: PollState) => {
        states.push(state)
        return state.executed >= 7
      }
      assert.equal(await tq.poll({ parallel, stopFn }), 7)
      const { enqueued, leased } = await tq.status()
      assert.deepEqual({ enqueued, leased }, { enqueued: 23, leased: 0 })
      assert.deepEqual(
        states.map(({ executed }) => executed),
        [1, 2, 3, 4, 5, 6, 7],
      )
      for (const { failed, tries, previousExecutionSeconds, elapsedSeconds } of states) {
        assert.deepEqual({ failed, tries }, { failed: 0, tries: 0 })
        assert.ok(previousExecutionSeconds !== undefined && previousExecutionSeconds >= 0)
        assert.ok(elapsedSeconds >= 0)
      }
    })
  }

  onEach(
    'stopFn is asked after failures and after empty lease requests, and sees the effects of afterFn',
    async queue => {
      const tq = queue.open()
      await tq.insert([task('throwing', 'x')])
      assert.equal(await tq.poll({ parallel: 0, stopFn: ({ failed }) => failed === 1, maxAttempts: 1 }), 0)
      const tries: number[] = []
      const stopFn = ({ tries: sofar, previousExecutionSeconds }: PollState) => {
        tries.push(sofar)
        assert.equal(previousExecutionSeconds, undefined)
        return sofar === 3
      }
      assert.equal(await tq.poll({ stopFn, minBackoffSeconds: 0.001, maxBackoffSeconds: 0.001 }), 0)
      assert.deepEqual(tries, [1, 2, 3])
      await tq.insert(tasks(5))
      let enough = false
      const afterFn = async () => {
        await nextTurn()
        enough = true
      }
      assert.equal(await tq.poll({ parallel: 1, afterFn, stopFn: () => enough }), 1)
    },
  )

  onEach('a throwing stopFn ends the worker, after a task or on an empty queue', async queue => {
    const tq = queue.open()
    const stopFn = () => {
      throw new Error('no good')
    }
    await assert.rejects(tq.poll({ stopFn }), /no good/)
    await tq.insert(tasks(5))
    await assert.rejects(tq.poll({ stopFn }), /no good/)
    await tq.insert([task('throwing', 'x')])
    await tq.purge()
    await tq.insert([task('throwing', 'x')])
    await assert.rejects(tq.poll({ stopFn }), /no good/)
    assert.equal((await tq.status()).leased, 0)
  })

  onEach('untilEmpty waits for tasks that others hold', async queue => {
    const tq = queue.open()
    const other = queue.open()
    await tq.insert(tasks(2))
    const [otherLease] = await other.lease({ seconds: 600 })
    assert.ok(otherLease)
    let ended = false
    const polling = tq
      .poll({ parallel: 0, untilEmpty: true, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.01 })
      .finally(() => {
        ended = true
      })
    for (let idles = 0; idles < 5; idles++) await event(tq.events, 'idle')
    assert.equal(ended, false)
    await other.delete(otherLease)
    assert.equal(await polling, 1)
  })

  onEach('untilEmpty ends after its own last task, also during a back-off', async queue => {
    const tq = queue.open()
    await tq.insert([task('waitAt', 'a')])
    const { gate, open } = newGate()
    const began = event(tq.events, 'log')
    const idle = event(tq.events, 'idle')
    // The other thread finds nothing, and would poll again in half an hour.
    const polling = tq.poll({
      parallel: 2,
      untilEmpty: true,
      executeArgs: [gate],
      minBackoffSeconds: 3600,
      maxBackoffSeconds: 3600,
    })
    await Promise.all([began, idle])
    open()
    assert.equal(await polling, 1)
  })

  onEach('verbose prints a line for each step', async queue => {
    const tq = queue.open()
    await tq.insert([new Greeting({ name: 'you' })])
    await tq.insert([task('throwing', 'on purpose')])
    const printed: string[] = []
    const { log } = console
    console.log = (...line: unknown[]) => printed.push(line.join(' '))
    try {
      await tq.poll({ parallel: 0, untilEmpty: true, maxAttempts: 1, verbose: true })
    } finally {
      console.log = log
    }
    const id = '[0-9a-f-]{36}'
    assert.equal(printed.length, 6)
    for (const line of [
      `INFO Running Greeting \\(id: ${id}\\)`,
      `INFO Deleting ${id}`,
      `INFO Greeting ${id} successfully executed in \\d+\\.\\d\\d sec\\.`,
      `INFO Running tasks.throwing \\(id: ${id}\\)`,
      `ERROR tasks.throwing ${id} raised Error: on purpose`,
    ]) {
      assert.ok(
        printed.some(text => new RegExp(`^${line}$`).test(text)),
        `expected ${line} in ${printed.join('\n')}`,
      )
    }
    assert.equal(printed.at(-1), 'Task execution loop exited.')
  })
})

describe('back-off', () => {
  it('draws from a window that doubles from the minimum to the maximum', () => {
    const dice = [0, 0.25, 0.999, 0.5, 0.5]
    const backoff = new Backoff(1, 5, () => dice.shift() ?? 0.5)
    assert.deepEqual(
      [backoff.miss(), backoff.miss(), backoff.miss(), backoff.miss(), backoff.miss()],
      [0, 0.5, 3.996, 2.5, 2.5],
    )
    backoff.reset()
    assert.equal(backoff.windowSeconds, 1)
    const old = new Backoff(1, 120)
    for (let misses = 0; misses < 3_000; misses++) assert.ok(old.miss() <= 120)
  })

  onEach(
    'lease requests to an empty queue back off, and start again from the smallest window once a task was found',
    async queue => {
      const clock = new ManualClock()
      const stop = new AbortController()
      const tq = queue.open()
      await tq.insert(tasks(1))
      const { worker, events } = await queue.worker({ signal: stop.signal }, { clock, random: () => 0.5 })
      const waits: number[] = []
      events.on('idle', async ({ waitSeconds }) => {
        waits.push(waitSeconds)
        if (waits.length === 9) await tq.insert(tasks(1))
        if (waits.length === 12) stop.abort()
        setImmediate(() => clock.advance(waitSeconds))
      })
      assert.equal(await worker.work(), 2)
      assert.deepEqual(waits, [0.5, 1, 2, 4, 8, 16, 32, 60, 60, 0.5, 1, 2])
    },
  )

  for (const [how, exception] of [
    ['SlowDown', 'SlowDown'],
    ['SlowDownALot', 'SlowDown'],
    ['name', 'TooManyRequests'],
  ] as const) {
    for (const parallel of [0, 1]) {
      onEach(`a task that throws ${how} makes the worker back off: parallel ${parallel}`, async queue => {
        const { SlowDown } = await import('./tasks.js')
        const clock = new ManualClock()
        const stop = new AbortController()
        const backoffExceptions = [exception === 'SlowDown' ? SlowDown : exception]
        const tq = queue.open()
        await tq.insert([task('slowingDown', how)])
        // With `stopFn` no task is prefetched, so the only pauses are those of the back-off.
        const { worker, events } = await queue.worker(
          { parallel, backoffExceptions, signal: stop.signal, stopFn: () => false },
          { clock, random: () => 0.5 },
        )
        const steps = recorded(events, 'failed', 'succeeded', 'lost')
        const working = worker.work()
        const waits: number[] = []
        while (waits.length < 4) {
          const [{ waitSeconds }] = await Promise.all([event(events, 'idle'), event(events, 'released')])
          waits.push(waitSeconds)
          clock.advance(waitSeconds)
        }
        stop.abort()
        assert.equal(await working, 0)
        // Twice as long each time, since it is found each time and never ends otherwise.
        assert.deepEqual(waits, [0.5, 1, 2, 4])
        assert.deepEqual(steps, [])
        const [given] = await tq.lease()
        assert.equal(given?.attempt, 1, 'no attempt was counted')
      })
    }
  }

  onEach(
    'errors of the queue in backoffExceptions are retried: in lease requests, deletions and at the end',
    async queue => {
      const clock = new ManualClock()
      const inner = await queue.backend()
      const broken = { lease: 2, delete: 2, release: 1 }
      const failing = (verb: keyof typeof broken) => {
        if (broken[verb]-- > 0) throw Object.assign(new Error(`${verb}: slow down`), { name: 'ThrottlingException' })
      }
      const backend = new Proxy(inner, {
        get(target, key) {
          if (key === 'lease' || key === 'delete' || key === 'release') {
            return (...args: unknown[]) => {
              failing(key)
              return Reflect.apply(target[key], target, args)
            }
          }
          const value: unknown = Reflect.get(target, key)
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
      const tq = queue.open()
      await tq.insert([...tasks(1), task('throwing', 'x')])
      const advancing = setInterval(() => clock.advance(200), 1)
      const { worker, events } = await queue.worker(
        {
          backoffExceptions: ['ThrottlingException'],
          stopFn: ({ executed, failed }) => {
            const stops = executed + failed === 2
            // A minute without an answer would end it.
            if (stops) clearInterval(advancing)
            return stops
          },
        },
        { clock, random: () => 0.5, backend },
      )
      const done = recorded(events, 'succeeded', 'failed')
      assert.equal(await worker.work(), 1)
      assert.equal(done.length, 2)
      assert.ok(Object.values(broken).every(left => left <= 0))
      assert.equal((await tq.status()).leased, 0)
    },
  )
})

async function oneValue(tq: ReturnType<Parameters<Parameters<typeof onEach>[1]>[0]['open']>, options: object) {
  const succeeded = event(tq.events, 'succeeded')
  await tq.poll({ parallel: 1, untilEmpty: true, ...options })
  return succeeded
}
