import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'node:test'
import { MessageRefusedError } from 'ptq'
import { ManualClock } from 'ptq/testing'
import type { Backend } from '#ptq/backend/backend.js'
import type { BatchFailure, Lease } from '#ptq/backend/messages.js'
import { onEach, recorded, task } from './queues.js'
import { SlowDown } from './tasks.js'

const soon = { parallel: 0, untilEmpty: true, minBackoffSeconds: 0.05, maxBackoffSeconds: 0.1 } as const

/** A backend that deletes in another way. */
function withDelete(
  backend: Backend,
  remove: (leases: readonly Lease[], options: { tally: boolean }) => Promise<readonly BatchFailure[]>,
): Backend {
  return new Proxy(backend, {
    get(target, key) {
      if (key === 'delete') return remove
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** The warnings of this process whose code is this one. */
function warnings(code: string): { readonly texts: string[]; [Symbol.dispose](): void } {
  const texts: string[] = []
  const listener = (warning: Error & { code?: string }) => {
    if (warning.code === code) texts.push(warning.message)
  }
  process.on('warning', listener)
  return { texts, [Symbol.dispose]: () => process.off('warning', listener) }
}

describe('a fault of one message', { concurrency: 1 }, () => {
  onEach('a completed task whose deletion is retried keeps its lease until then', async queue => {
    const tq = queue.open()
    await tq.insert([task('noop', 1)])
    const inner = await queue.backend()
    const clock = new ManualClock()
    let renewed = 0
    const backend = withDelete(inner, async (leases, options) => {
      if (renewed < 3) throw new SlowDown('later')
      return inner.delete(leases, options)
    })
    const options = { ...soon, maxBackoffSeconds: 100, leaseSeconds: 50, backoffExceptions: [SlowDown] }
    const { worker, events } = await queue.worker(options, { clock, random: () => 1, backend })
    events.on('renewed', () => {
      renewed++
    })
    const lost = recorded(events, 'lost')
    const advancing = setInterval(() => clock.advance(1_000), 1)
    assert.equal(await worker.work(), 1)
    clearInterval(advancing)
    assert.deepEqual(lost, [])
  })

  onEach('a task whose deletion the queue refuses causes a warning, and the worker continues', async queue => {
    using refused = warnings('PTQ_TASK_REFUSED')
    const tq = queue.open()
    await tq.insert([task('noop', 0), task('noop', 1), task('noop', 2)])
    const inner = await queue.backend()
    let first: string | undefined
    const backend = withDelete(inner, async (leases, options) => {
      first ??= leases[0]?.id
      const index = leases.findIndex(({ id }) => id === first)
      if (index < 0) return inner.delete(leases, options)
      const others = leases.filter((_, place) => place !== index)
      assert.deepEqual(await inner.delete(others, options), [])
      return [{ index, error: new MessageRefusedError('not this one', { id: first ?? '' }) }]
    })
    const stop = new AbortController()
    const { worker, events } = await queue.worker(
      { ...soon, untilEmpty: false, signal: stop.signal },
      { clock: new ManualClock(), random: Math.random, backend },
    )
    let succeeded = 0
    events.on('succeeded', () => {
      if (++succeeded === 2) stop.abort()
    })
    assert.equal(await worker.work(), 2)
    while (refused.texts.length === 0) await new Promise(resolve => setImmediate(resolve))
    assert.match(refused.texts[0] ?? '', /was refused, it ran, and runs again when its lease ends: .*not this one/)
    assert.equal(await tq.enqueued(), 1)
  })

  onEach(
    'a failed task whose failure record cannot be written is reported and does not end the worker',
    async queue => {
      using refused = warnings('PTQ_TASK_REFUSED')
      const tq = queue.open()
      await tq.insert([task('throwing', 'x')])
      const [failing] = await tq.list()
      await tq.insert([task('noop', 1), task('noop', 2)])
      mkdirSync(join(queue.folder, 'queue', 'failures', failing?.id ?? ''), { recursive: true })
      const stopFn = ({ executed, failed }: { executed: number; failed: number }) => executed === 2 && failed === 1
      assert.equal(await tq.poll({ ...soon, untilEmpty: false, stopFn }), 2)
      while (refused.texts.length === 0) await new Promise(resolve => setImmediate(resolve))
      assert.match(
        refused.texts[0] ?? '',
        /tasks\.throwing .* was refused, it comes back when its lease ends: .*EISDIR/,
      )
    },
    ['fq'],
  )
})
