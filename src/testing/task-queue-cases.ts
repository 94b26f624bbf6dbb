/** Cases of a TaskQueue on this backend: the core and the backend together. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { stringifyJson } from '../json/json.js'
import type { LeasedTask } from '../queue/queued-task.js'
import { TaskQueue } from '../task-queue.js'
import { FunctionTask } from '../tasks/task.js'
import { type ConformanceCase, noFailures, type QueueUnderTest } from './queue-under-test.js'
import { openerOf, withVerb } from './task-queues.js'

/** Leases exactly `count` tasks. */
async function take(queue: QueueUnderTest, tasks: TaskQueue, count: number): Promise<LeasedTask[]> {
  const taken: LeasedTask[] = []
  const waitSeconds = queue.realTime ? 30 : 0
  while (taken.length < count) {
    const more = await tasks.lease({ seconds: queue.longSeconds, numTasks: count - taken.length, waitSeconds })
    assert.ok(more.length > 0, `expected ${count} tasks to be free, got ${taken.length}`)
    taken.push(...more)
  }
  return taken
}

export const taskQueueCases: readonly ConformanceCase[] = [
  {
    name: 'a TaskQueue on it keeps every payload without loss, and counts correctly',
    async run(queue) {
      const open = openerOf(queue)
      const tq = open()
      const payloads = [
        new FunctionTask(['mylib.tasks', 'segment'], [[9007199254740993n, 18446744073709551615n, -1n * 2n ** 63n]], {}),
        new FunctionTask(['tasks', 'print'], ['Čau, 世界, 🎉', Number.NaN, Number.NEGATIVE_INFINITY, 1e300]),
        new FunctionTask(['tasks', 'nothing'], ['\\ "quoted" \n \u0000'], { times: 3 }),
      ]
      assert.equal(await tq.insert(payloads), payloads.length)
      const tasks = await take(queue, tq, payloads.length)
      const texts = tasks.map(task => stringifyJson(task.payload()))
      assert.deepEqual(texts.sort(), payloads.map(task => stringifyJson(task.payload())).sort())
      assert.equal(await tq.delete(tasks, { tally: true }), payloads.length)
      assert.equal(await tq.isEmpty(), true)
      const { inserted, completed } = await tq.status()
      if (queue.capabilities.counters) assert.deepEqual({ inserted, completed }, { inserted: 3, completed: 3 })
      await tq.close()
    },
  },
  {
    name: 'an insert whose count fails succeeds with a warning; with a name, the next one counts',
    leftOut: ({ capabilities }) => (capabilities.counters ? undefined : 'it has no counters, capabilities.counters'),
    async run(queue) {
      let isBroken = true
      const open = openerOf(queue, backend =>
        withVerb(backend, 'addInserted', target => async count => {
          if (isBroken) throw new Error('the counter is broken')
          await target.addInserted?.(count)
        }),
      )
      const warnings: string[] = []
      const { label } = queue.backend
      const onWarning = (warning: Error & { code?: string }) => {
        if (warning.code === 'PTQ_NOT_COUNTED' && warning.message.includes(label)) warnings.push(warning.message)
      }
      process.on('warning', onWarning)
      const tq = open()
      const tasks = (from: number) => Array.from({ length: 3 }, (_, i) => ({ class: 'Numbered', i: from + i }))
      assert.equal(await tq.insert(tasks(0)), 3)
      assert.equal(await tq.insert(tasks(3), { resume: 'three' }), 3)
      await nextTurn()
      process.off('warning', onWarning)
      assert.equal(warnings.length, 1, 'one warning for each open queue')
      isBroken = false
      assert.equal((await queue.backend.counts()).inserted, 0)
      assert.equal(await tq.insert(tasks(3), { resume: 'three' }), 0)
      assert.equal((await queue.backend.counts()).inserted, 3)
      await tq.delete(await take(queue, tq, 6))
      await tq.close()
    },
  },
  {
    name: 'two TaskQueues on it drain it together: each task once, counts exact',
    async run(queue) {
      const open = openerOf(queue)
      const inserter = open()
      const count = 120
      const payload = (i: number) => ({ class: 'Numbered', i })
      assert.equal(await inserter.insert(Array.from({ length: count }, (_, i) => payload(i))), count)
      const seen: string[] = []
      const drain = async (tq: TaskQueue) => {
        while (seen.length < count) {
          const tasks = await tq.lease({ seconds: queue.longSeconds, numTasks: 7 })
          seen.push(...tasks.map(task => task.payloadText))
          await tq.delete(tasks, { tally: true })
          await nextTurn()
        }
        await tq.close()
      }
      await Promise.all([drain(open()), drain(open())])
      assert.equal(new Set(seen).size, count)
      assert.equal(seen.length, count)
      await inserter.blockUntilEmpty({ intervalSeconds: 0.05 })
      if (queue.capabilities.counters) {
        const { inserted, completed } = await inserter.status()
        assert.deepEqual({ inserted, completed }, { inserted: count, completed: count })
      }
      await inserter.close()
    },
  },
  {
    name: 'a TaskQueue on it releases its leases when it is closed',
    async run(queue) {
      const open = openerOf(queue)
      const tq = open()
      await tq.insert([{ class: 'A' }, { class: 'B' }, { class: 'C' }])
      const [finished] = await take(queue, tq, 3)
      assert.ok(finished)
      await tq.delete(finished)
      await tq.close()
      await assert.rejects(tq.lease(), /was closed/)
      const next = open()
      const tasks = await take(queue, next, 2)
      if (queue.capabilities.uncountedReleases !== false) {
        for (const { attempt } of tasks) assert.equal(attempt, 1)
      }
      await next.delete(tasks)
      await next.close()
    },
  },
  {
    name: 'a lease or delay beyond its limits is refused, and nothing is changed',
    async run(queue) {
      const tq = openerOf(queue)()
      const { maxLeaseSeconds, maxDelaySeconds } = queue.capabilities
      if (Number.isFinite(maxDelaySeconds)) {
        const insert = tq.insert({ class: 'A' }, { delaySeconds: maxDelaySeconds + 1 })
        await assert.rejects(insert, new RegExp(`\`delaySeconds\`.*${maxDelaySeconds} seconds`))
      }
      if (Number.isFinite(maxLeaseSeconds)) {
        const lease = tq.lease({ seconds: maxLeaseSeconds + 1 })
        await assert.rejects(lease, new RegExp(`\`seconds\`.*${maxLeaseSeconds} seconds`))
      }
      await assert.rejects(tq.insert({ class: 'A' }, { delaySeconds: -1 }), /`delaySeconds`/)
      await assert.rejects(tq.lease({ seconds: Number.NaN }), /`seconds`/)
      assert.equal(await tq.isEmpty(), true)
      await tq.close()
    },
  },
  {
    name: 'an invalid message does not prevent leases of other tasks',
    async run(queue) {
      const tq = openerOf(queue)()
      noFailures(await queue.backend.insert([{ id: randomUUID(), body: '{"payload": [1, 2' }], { delaySeconds: 0 }))
      await tq.insert([{ class: 'A' }, { class: 'B' }])
      const tasks: LeasedTask[] = []
      while (tasks.length < 2) tasks.push(...(await tq.lease({ seconds: queue.longSeconds, numTasks: 3 })))
      assert.deepEqual(
        tasks
          .map(task => task.payload())
          .map(payload => Reflect.get(payload, 'class'))
          .sort(),
        ['A', 'B'],
      )
      await tq.delete(tasks)
      await tq.close()
    },
  },
  {
    name: 'its tasks can be copied, also if their code is unknown',
    leftOut: ({ capabilities }) => (capabilities.listing ? undefined : 'it can list nothing, capabilities.listing'),
    async run(queue) {
      const source = openerOf(queue)()
      const target = new TaskQueue(`mem://${queue.name}-copy`, { progress: false })
      await source.insert([{ class: 'A', id: 18446744073709551615n }, new FunctionTask(['x', 'y'], [1.5])])
      assert.equal(await target.insert(source), 2)
      const texts = async (tq: TaskQueue) => (await tq.list()).map(task => task.payloadText).sort()
      assert.deepEqual(await texts(target), await texts(source))
      await target.purge()
      await target.close()
      await source.close()
    },
  },
]
