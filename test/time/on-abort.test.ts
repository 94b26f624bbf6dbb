import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, it } from 'node:test'
import { LocalTaskQueue, partial, TaskQueue } from 'ptq'
import { onAbort } from '#ptq/time/on-abort.js'
import { noop } from '../poll/tasks.js'

/** The warnings while `work` runs, and those that are on their way at its end. */
async function warningsOf(work: () => Promise<void>): Promise<string[]> {
  const warnings: string[] = []
  const listener = ({ message }: Error) => warnings.push(message)
  process.on('warning', listener)
  try {
    await work()
    await new Promise(resolve => setImmediate(resolve))
  } finally {
    process.off('warning', listener)
  }
  return warnings
}

describe('a shared abort signal', () => {
  it('has one listener, which is removed when the last callback is', () => {
    const { signal } = new AbortController()
    const ends = Array.from({ length: 20 }, () => onAbort(signal, () => assert.fail('not aborted')))
    assert.equal(getEventListeners(signal, 'abort').length, 1)
    for (const end of ends) end()
    assert.equal(getEventListeners(signal, 'abort').length, 0)
    onAbort(signal, () => undefined)()
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })

  it('calls each callback once, except those that were removed, also by another callback', () => {
    const abort = new AbortController()
    const told: string[] = []
    onAbort(abort.signal, () => {
      told.push('a')
      endC()
    })
    const endB = onAbort(abort.signal, () => told.push('b'))
    const endC = onAbort(abort.signal, () => told.push('c'))
    onAbort(abort.signal, () => told.push('d'))
    endB()
    abort.abort()
    endC()
    onAbort(abort.signal, () => told.push('late'))
    assert.deepEqual(told, ['a', 'd', 'late'])
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0)
  })

  for (const parallel of [0, 1]) {
    it(`of runs, workers, waits and retries causes no leak warning: parallel ${parallel}`, async () => {
      const abort = new AbortController()
      const { signal } = abort
      const tq = new TaskQueue('mem://one-signal', { progress: false })
      const lq = new LocalTaskQueue({ parallel, progress: false, signal })
      const many = (start: (n: number) => Promise<unknown>) =>
        Promise.all(Array.from({ length: 15 }, (_, n) => start(n)))
      await tq.insert(partial(noop, 1), { delaySeconds: 1000 })
      const warnings = await warningsOf(async () => {
        await many(n => lq.insertAll(partial(noop, n)))
        const ended = many(() => tq.poll({ parallel, signal }))
        const waited = many(() => assert.rejects(tq.blockUntilEmpty({ intervalSeconds: 1000, signal })))
        await many(async () => tq.enqueued())
        abort.abort()
        await ended
        await waited
      })
      assert.deepEqual(warnings, [])
      assert.equal(getEventListeners(signal, 'abort').length, 0)
      await lq.close()
      await tq.close()
    })
  }
})
