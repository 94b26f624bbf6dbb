import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'node:test'
import { partial, queueable } from 'ptq'
import { ManualClock } from 'ptq/testing'
import type { Backend } from '#ptq/backend/backend.js'
import { event, onEach, recorded, TestQueue, task } from './queues.js'

const soon = { parallel: 0, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.02 } as const

/** A backend all of whose tasks have had so many deaths. */
function withDeaths(backend: Backend, deaths: number): Backend {
  const lease: Backend['lease'] = async options =>
    (await backend.lease(options)).map(leased => ({ ...leased, attempt: 1 + deaths, deaths, deathsAlone: 0 }))
  return new Proxy(backend, {
    get(target, key) {
      if (key === 'lease') return lease
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** The wake-up of each waiting task. */
const wakers = new Map<string, () => void>()

const waitFor = queueable(function waitForWaker(name: string): Promise<void> {
  return new Promise(resolve => wakers.set(name, resolve))
})

function wake(name: string): void {
  wakers.get(name)?.()
}

const turn = () => new Promise(resolve => setImmediate(resolve))

describe('a task that has to run alone', { concurrency: 1 }, () => {
  onEach(
    'is released with a delay and one warning if the mark cannot be recorded',
    async queue => {
      const texts: string[] = []
      const onWarning = (warning: Error & { code?: string }) => {
        if (warning.code === 'PTQ_TASK_REFUSED') texts.push(warning.message)
      }
      process.on('warning', onWarning)
      const tq = queue.open()
      await tq.insert([task('noop', 1)])
      const [sent] = await tq.list()
      mkdirSync(join(queue.folder, 'queue', 'failures', sent?.id ?? ''), { recursive: true })
      const stop = new AbortController()
      const backend = withDeaths(await queue.backend(), 3)
      const clock = new ManualClock()
      const advancing = setInterval(() => clock.advance(100), 1)
      const parts = { clock, random: Math.random, backend }
      const { worker, events } = await queue.worker({ ...soon, signal: stop.signal }, parts)
      const started = recorded(events, 'started')
      const done = worker.work()
      await event(events, 'released')
      assert.equal((await tq.status()).delayed, 1)
      // Its delay is over, and it is released again.
      await event(events, 'released')
      // A minute without an answer would end it.
      clearInterval(advancing)
      stop.abort()
      assert.equal(await done, 0)
      assert.deepEqual(started, [])
      while (texts.length === 0) await turn()
      process.off('warning', onWarning)
      assert.equal(texts.length, 1)
      assert.match(texts[0] ?? '', /is not run before its queue can record that it runs alone.*EISDIR/)
    },
    ['fq'],
  )

  onEach('runs beside no task of another worker in the process', async queue => {
    const healthy = queue.open()
    await healthy.insert([partial(waitFor, 'first')])
    const other = await TestQueue.make(queue.kind)
    await other.open().insert([partial(waitFor, 'alone')])
    const stop = new AbortController()
    const options = { ...soon, signal: stop.signal }
    const clock = new ManualClock()
    const advancing = setInterval(() => clock.advance(100), 1)
    const parts = (backend: Backend) => ({ clock, random: Math.random, backend })
    const one = await queue.worker(options, parts(await queue.backend()))
    const order: string[] = []
    one.events.on('started', () => order.push('healthy started'))
    one.events.on('succeeded', () => order.push('healthy ended'))
    const working = [one.worker.work()]
    await event(one.events, 'started')

    const two = await other.worker(options, parts(withDeaths(await other.backend(), 3)))
    two.events.on('started', () => order.push('alone started'))
    two.events.on('succeeded', () => order.push('alone ended'))
    const started = event(two.events, 'started')
    const leased = event(two.events, 'leased')
    working.push(two.worker.work())
    await leased
    for (let n = 0; n < 100; n++) await turn()
    assert.deepEqual(order, ['healthy started'])
    wake('first')
    await started
    await healthy.insert([partial(waitFor, 'second')])
    for (let n = 0; n < 100; n++) await turn()
    assert.deepEqual(order, ['healthy started', 'healthy ended', 'alone started'])
    const next = event(one.events, 'started')
    wake('alone')
    await next
    assert.deepEqual(order.slice(3), ['alone ended', 'healthy started'])
    wake('second')
    clearInterval(advancing)
    stop.abort()
    assert.deepEqual(await Promise.all(working), [2, 1])
    await other.remove()
  })
})
