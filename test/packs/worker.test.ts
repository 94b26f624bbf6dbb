import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe } from 'node:test'
import { FunctionTask, partial, range } from 'ptq'
import { deadLettersOf } from '../poll/dead-letters.js'
import { linesOf } from '../poll/ledger.js'
import { event, newGate, onEach, recorded, task } from '../poll/queues.js'
import { leaveLine, noop, throwing, throwUntil } from '../poll/tasks.js'
import { Breaking } from './sequences.js'

const eager = { untilEmpty: true, tally: true, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.02 } as const

/** The ids of the tasks that ran, each once. */
function ranIds(ledger: string): Set<string> {
  const ids = linesOf(ledger).map(line => line.split(' ')[0] ?? '')
  const distinct = new Set(ids)
  assert.equal(distinct.size, ids.length, 'each task ran once')
  return distinct
}

describe('a worker and packs', () => {
  for (const parallel of [0, 1, 2]) {
    onEach(`runs each task under an id of its own, and reports each: parallel ${parallel}`, async queue => {
      const tq = queue.open()
      const ledger = join(queue.folder, 'ledger')
      await tq.insert(
        Array.from({ length: 250 }, () => partial(leaveLine, ledger)),
        { pack: 100 },
      )
      const seen = recorded(tq.events, 'leased', 'started', 'succeeded', 'deleted')
      assert.equal(await tq.poll({ parallel, ...eager }), 250)
      const ids = ranIds(ledger)
      assert.equal(ids.size, 250)
      for (const name of ['leased', 'started', 'succeeded', 'deleted']) {
        const named = seen.filter(line => line.startsWith(`${name} `)).map(line => line.slice(name.length + 1))
        assert.deepEqual(new Set(named), ids, name)
        assert.equal(named.length, 250, name)
      }
      const { enqueued, messages, leased, completed } = await tq.status()
      assert.deepEqual([enqueued, messages, leased, completed], [0, undefined, 0, 250])
    })

    onEach(`a task that fails leaves its pack, and is retried alone: parallel ${parallel}`, async queue => {
      const tq = queue.open()
      const tasks = [partial(noop, 1), partial(throwUntil, 3), partial(noop, 2), partial(throwing, 'always')]
      await tq.insert(tasks, { pack: 10 })
      const failed: string[] = []
      tq.events.on('failed', ({ task, error }) => failed.push(`${task.name} ${task.attempt} ${error}`))
      const ids = new Map<string, Set<string>>()
      tq.events.on('started', ({ task: { id, name } }) => ids.set(name, (ids.get(name) ?? new Set()).add(id)))
      assert.equal(await tq.poll({ parallel, ...eager, maxAttempts: 3 }), 3)
      assert.deepEqual(failed.sort(), [
        'tasks.throwUntil 1 Error: attempt 1 is too early',
        'tasks.throwUntil 2 Error: attempt 2 is too early',
        'tasks.throwing 1 Error: always',
        'tasks.throwing 2 Error: always',
        'tasks.throwing 3 Error: always',
      ])
      const { enqueued, completed, inserted } = await tq.status()
      assert.deepEqual([enqueued, completed, inserted], [0, 3, 4])
      const [letter, ...others] = await deadLettersOf(tq)
      assert.ok(letter)
      assert.equal(others.length, 0)
      assert.equal(ids.get('tasks.throwing')?.size, 1, 'the same id each time')
      assert.ok(ids.get('tasks.throwing')?.has(letter.id))
      assert.deepEqual(
        letter.failures.map(({ attempt, reason }) => `${attempt} ${reason}`),
        ['1 Error: always', '2 Error: always', '3 Error: always'],
      )
      // From then on it is as any other dead letter.
      assert.equal(await tq.retry(), 1)
      const [again] = await tq.lease()
      assert.equal(again?.attempt, 1)
      assert.equal(again?.id, letter.id)
      assert.equal(again?.failures.length, 3)
    })

    onEach(`a failing task is dead-lettered at once with maxAttempts 1: parallel ${parallel}`, async queue => {
      const tq = queue.open()
      await tq.insert([partial(noop, 1), partial(throwing, 'no'), partial(noop, 2)], { pack: 3 })
      assert.equal(await tq.poll({ parallel, ...eager, maxAttempts: 1 }), 2)
      const letters = await deadLettersOf(tq)
      assert.deepEqual(
        letters.map(({ name, failures }) => [name, failures.length]),
        [['tasks.throwing', 1]],
      )
      assert.equal(await tq.enqueued(), 0)
      assert.equal(await tq.failed(), 1)
    })

    onEach(
      `finishes running tasks at a stop, and the rest is released as one pack: parallel ${parallel}`,
      async queue => {
        const tq = queue.open()
        const { gate, open } = newGate()
        const stop = new AbortController()
        await tq.insert(range(new FunctionTask(['tasks', 'waitAt']) as never, 0, 1_000_000), { pack: 1_000_000 })
        const [listed] = await tq.list()
        const running = Math.max(1, parallel)
        const begun = new Set<string>()
        const began = event(tq.events, 'log', ({ task: { id } }) => begun.add(id).size === running)
        const polling = tq.poll({ parallel, signal: stop.signal, executeArgs: [gate], tally: true })
        await began
        stop.abort()
        open()
        assert.equal(await polling, running)
        const { enqueued, leased, completed } = await tq.status()
        assert.deepEqual([enqueued, leased, completed], [1_000_000 - running, 0, running])
        // More than one where the stop came so late that the pack was shared before.
        const rest = await tq.lease({ numTasks: 9 })
        for (const { attempt, id } of rest) {
          assert.equal(attempt, 1)
          assert.notEqual(id, listed?.id)
        }
        assert.equal(
          rest.reduce((sum, { count }) => sum + count, 0),
          1_000_000 - running,
        )
        await tq.release(rest)
        // The others keep their ids.
        const next = event(tq.events, 'started')
        const again = new AbortController()
        const resumed = tq.poll({ parallel, signal: again.signal, executeArgs: [gate] })
        assert.ok(!begun.has((await next).task.id))
        again.abort()
        await resumed
      },
    )
  }

  onEach('releases a pack of which nothing ran unchanged', async queue => {
    const tq = queue.open()
    await tq.insert([partial(noop, 1), partial(noop, 2)], { pack: 2 })
    const [before] = await tq.list()
    const beforeFn = () => {
      throw new Error('not now')
    }
    await assert.rejects(tq.poll({ parallel: 0, beforeFn, ...eager }), /not now/)
    const [after] = await tq.lease()
    assert.deepEqual([after?.id, after?.attempt, after?.count], [before?.id, 1, 2])
  })

  onEach('keeps ids for any worker and any number of splits', async queue => {
    const tq = queue.open()
    const ledger = join(queue.folder, 'ledger')
    await tq.insert(
      Array.from({ length: 40 }, () => partial(leaveLine, ledger)),
      { pack: 40 },
    )
    let runs = 0
    while ((await tq.enqueued()) > 0) {
      let stop = false
      const { signal, abort } = { signal: new AbortController(), abort: () => (stop = true) }
      tq.events.on('succeeded', abort)
      await tq.poll({ parallel: 0, tally: true, signal: signal.signal, stopFn: () => stop || runs > 60 })
      tq.events.off('succeeded', abort)
      if (++runs > 60) break
    }
    assert.equal(ranIds(ledger).size, 40)
    assert.equal((await tq.status()).completed, 40)
    assert.ok(runs > 10, `${runs} runs`)
  })

  onEach('releases the rest too for an error of `backoffExceptions`', async queue => {
    const tq = queue.open()
    await tq.insert(
      [...Array.from({ length: 5 }, (_, n) => partial(noop, n)), task('slowingDown', 'name'), partial(noop, 7)],
      {
        pack: 7,
      },
    )
    const stop = new AbortController()
    const idle = event(tq.events, 'idle')
    const polling = tq.poll({ parallel: 0, backoffExceptions: ['TooManyRequests'], signal: stop.signal, tally: true })
    await idle
    stop.abort()
    assert.equal(await polling, 5)
    const [rest] = await tq.lease()
    assert.deepEqual([rest?.count, rest?.attempt], [2, 1])
    assert.equal((await tq.status()).enqueued, 2)
  })

  onEach('fails a pack as a whole that cannot run here, and it stays one message', async queue => {
    const tq = queue.open()
    const unknown = (name: string) => new FunctionTask(['elsewhere', name])
    await tq.insert([unknown('a'), unknown('b'), unknown('c')], { pack: 3 })
    assert.equal(await tq.poll({ parallel: 0, ...eager, maxAttempts: 2 }), 0)
    const [letter, ...others] = await deadLettersOf(tq)
    assert.equal(others.length, 0)
    assert.equal(letter?.count, 3)
    assert.match(letter?.failures.at(-1)?.reason ?? '', /not registered: Expected function a of module elsewhere/)
    assert.equal(await tq.failed(), 3)
    assert.equal(await tq.retry(), 3)
    assert.equal(await tq.enqueued(), 3)
  })

  onEach('fails the remaining tasks of a sequence that ends early', async queue => {
    const tq = queue.open()
    await tq.insert(new Breaking(0, 50, 20), { pack: 50 })
    assert.ok((await tq.poll({ parallel: 0, ...eager, maxAttempts: 2 })) >= 20)
    const [letter] = await deadLettersOf(tq)
    assert.equal(letter?.isPack, true)
    assert.match(letter?.failures.at(-1)?.reason ?? '', /RangeError: no task 20/)
  })

  onEach('quarantines a message with an invalid pack', async queue => {
    const tq = queue.open()
    const warnings: string[] = []
    const hear = ({ message }: Error) => warnings.push(message)
    process.on('warning', hear)
    await tq.insert([{ class: 'ptq.Pack', indices: [[0, 2]], tasks: [1] }, partial(noop, 1)])
    assert.equal(await tq.poll({ parallel: 0, ...eager }), 1)
    await new Promise(resolve => setImmediate(resolve))
    process.off('warning', hear)
    assert.match(warnings.join('\n'), /is no task and was set aside: Expected as many `tasks`/)
    assert.equal((await tq.status()).quarantined, 1)
  })

  onEach('leases a pack by hand as one message', async queue => {
    const tq = queue.open()
    await tq.insert([partial(noop, 1), partial(noop, 2)], { pack: 2 })
    const [pack] = await tq.lease()
    assert.ok(pack)
    assert.deepEqual([pack.isPack, pack.count], [true, 2])
    assert.throws(() => pack.execute(), /a pack of 2: poll\(\) runs them/)
    await tq.release(pack)
    assert.equal((await tq.status()).enqueued, 2)
  })
})
