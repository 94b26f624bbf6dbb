import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { partial, type WorkerEventMap } from 'ptq'
import { WorkerEvents } from '#ptq/poll/worker-events.js'
import { type Call, toCall } from '#ptq/threads/call.js'
import { ThreadPool } from '#ptq/threads/pool.js'
import { ThreadRun } from '#ptq/threads/run-on-threads.js'
import { Semaphore } from '#ptq/threads/semaphore.js'
import { event, newGate, onEach, recorded, task } from './queues.js'
import { noop } from './tasks.js'

const all = [
  'leased',
  'started',
  'deleting',
  'succeeded',
  'failed',
  'lost',
  'dead-lettered',
  'released',
] as const satisfies (keyof WorkerEventMap)[]

function warnings(): { texts: string[]; dispose(): void } {
  const texts: string[] = []
  const listener = ({ message }: Error) => texts.push(message)
  process.on('warning', listener)
  return { texts, dispose: () => process.off('warning', listener) }
}

describe('events', () => {
  for (const parallel of [0, 2]) {
    onEach(`report each step of each task, in order: parallel ${parallel}`, async queue => {
      const tq = queue.open()
      await tq.insert(Array.from({ length: 20 }, (_, n) => partial(noop, n)))
      await tq.insert([task('throwing', 'x'), { class: 'NowhereToBeFound' }])
      const names = new Map<string, string>()
      tq.events.on('leased', leased => names.set(leased.task.id, JSON.stringify(leased.task.payload())))
      const seen = recorded(tq.events, ...all)
      await tq.poll({ parallel, untilEmpty: true, maxAttempts: 1 })
      const stepsOf = (part: string) =>
        [...names]
          .filter(([, payload]) => payload.includes(part))
          .map(([id]) => seen.filter(step => step.endsWith(id)).map(step => step.split(' ')[0]))
      assert.equal(stepsOf('noop').length, 20)
      for (const steps of stepsOf('noop')) assert.deepEqual(steps, ['leased', 'started', 'deleting', 'succeeded'])
      assert.deepEqual(stepsOf('throwing'), [['leased', 'started', 'failed', 'dead-lettered']])
      assert.deepEqual(stepsOf('NowhereToBeFound'), [['leased', 'failed', 'dead-lettered']])
    })

    onEach(`a throwing listener only causes a warning: parallel ${parallel}`, async queue => {
      const tq = queue.open()
      await tq.insert([...Array.from({ length: 20 }, (_, n) => partial(noop, n)), task('throwing', 'x')])
      const warned = warnings()
      for (const name of [...all, 'idle', 'renewed'] as const) {
        tq.events.on(name, () => {
          throw new Error('a bad listener')
        })
        tq.events.on(name, () => Promise.reject(new Error('a bad promise')))
      }
      let succeeded = 0
      tq.events.on('succeeded', () => succeeded++)
      assert.equal(await tq.poll({ parallel, untilEmpty: true, maxAttempts: 1 }), 20)
      assert.equal(succeeded, 20)
      await new Promise(resolve => setImmediate(resolve))
      warned.dispose()
      assert.ok(warned.texts.includes("A listener for the worker's event 'succeeded' threw: Error: a bad listener"))
      assert.ok(warned.texts.includes("A listener for the worker's event 'succeeded' threw: Error: a bad promise"))
    })

    onEach(`progress and log lines of tasks arrive: parallel ${parallel}`, async queue => {
      const tq = queue.open()
      const { gate, open } = newGate()
      await tq.insert([task('telling')])
      const reported = event(tq.events, 'progress')
      const polling = tq.poll({ parallel, untilEmpty: true, executeArgs: [gate] })
      const { fraction, note } = await reported
      assert.deepEqual({ fraction, note }, { fraction: 0.5, note: 'half way' })
      open()
      await polling
      await tq.insert([task('waitAt', 'x')])
      const logged = event(tq.events, 'log')
      await tq.poll({ parallel, untilEmpty: true, executeArgs: [gate] })
      assert.equal((await logged).line, 'began x')
    })
  }

  it('a task that an idle thread steals from another emits one start event', async () => {
    const { gate, open } = newGate()
    const chunk = [['blockAt', 'first'], ...Array.from({ length: 3 }, () => ['noop', 1])]
    const starts = new Map<string | number, number>()
    let ended = 0
    const call = (id: string, [name, ...args]: unknown[]) => toCall([task(String(name), ...args), [gate]], id, 1)
    let sent = false
    let singles = 0
    const run = new ThreadRun<Call>({
      source: {
        get ended() {
          return sent
        },
        error: undefined,
        // Single tasks, until chunks have grown to hold the blocking one and those behind it.
        take(max) {
          if (sent) return []
          if (max < chunk.length) return [call(`single ${singles++}`, ['noop', 1])]
          sent = true
          return chunk.map((given, n) => call(`chunk ${n}`, given))
        },
        ready: () => Promise.resolve(),
        stop: () => Promise.resolve(),
      },
      toCall: given => given,
      listener: {
        onStart: ({ idSuffix }) => starts.set(idSuffix, (starts.get(idSuffix) ?? 0) + 1),
        onOutcome: ({ idSuffix }) => {
          if (String(idSuffix).startsWith('chunk') && ++ended === chunk.length - 1) open()
        },
        onProgress: () => undefined,
        onLog: () => undefined,
        onRenew: () => Promise.resolve(),
        onUnhandledError: (_, error) => assert.fail(String(error)),
      },
      idPrefix: '',
      concurrency: 1,
      postAll: true,
      parallel: 2,
      semaphore: new Semaphore(2),
      timeoutSeconds: undefined,
      maxMemoryMb: undefined,
    })
    await run.done
    await ThreadPool.stopUnused()
    assert.equal(ended, chunk.length)
    assert.equal(starts.size, singles + chunk.length)
    assert.deepEqual(new Set(starts.values()), new Set([1]))
  })

  onEach('log lines without a listener are printed', async queue => {
    const tq = queue.open()
    const { gate, open } = newGate()
    open()
    await tq.insert([task('waitAt', 'x')])
    const printed: unknown[] = []
    const { error } = console
    console.error = (...line: unknown[]) => printed.push(...line)
    try {
      await tq.poll({ parallel: 1, untilEmpty: true, executeArgs: [gate] })
    } finally {
      console.error = error
    }
    assert.deepEqual(printed, ['began x'])
  })

  it('a removed listener is not called', () => {
    const events = new WorkerEvents()
    const seen: number[] = []
    const listener = ({ waitSeconds }: WorkerEventMap['idle']) => seen.push(waitSeconds)
    assert.equal(events.hasListeners('idle'), false)
    events.on('idle', listener)
    assert.equal(events.hasListeners('idle'), true)
    events.emit('idle', { waitSeconds: 1 })
    events.off('idle', listener)
    events.emit('idle', { waitSeconds: 2 })
    assert.deepEqual(seen, [1])
  })
})
