/** Cases of workers (`poll`): tasks run, fail, and are left at a stop; none is lost. */
import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Lease } from '../backend/messages.js'
import { FunctionTask } from '../tasks/task.js'
import { type ConformanceCase, noFailures, type QueueUnderTest } from './queue-under-test.js'
import { openerOf } from './task-queues.js'
import {
  acting,
  DeadLetterQueue,
  eager,
  isDrained,
  numbered,
  once,
  passWhenIdle,
  tasksNamed,
  untilEmptyCounted,
} from './worker-setup.js'
import { type Act, double } from './worker-tasks.js'

export const workerCases: readonly ConformanceCase[] = [
  {
    name: 'workers drain it together: each task runs once, each completion is counted on request',
    async run(queue) {
      const open = openerOf(queue)
      const [one, two] = [open(), open()]
      const names = numbered(60)
      await one.insert(tasksNamed(...names))
      const ran: string[] = []
      const options = { ...acting(name => ran.push(name)), ...untilEmptyCounted }
      const executed = await Promise.all([one.poll(options), two.poll(options)])
      assert.equal(executed[0] + executed[1], names.length)
      assert.deepEqual(ran.sort(), names.sort())
      await isDrained(queue, one, names.length)

      await one.insert(tasksNamed('not counted'))
      assert.equal(await two.poll({ ...options, tally: false }), 1)
      await isDrained(queue, one, names.length)
      await Promise.all([one.close(), two.close()])
    },
  },
  {
    name: 'a worker with threads drains it',
    async run(queue) {
      const tq = openerOf(queue)()
      const count = 40
      await tq.insert(Array.from({ length: count }, (_, n) => new FunctionTask(['ptq-testing', double.name], [n])))
      const values: unknown[] = []
      tq.events.on('succeeded', ({ value }) => values.push(value))
      assert.equal(await tq.poll({ ...eager, ...untilEmptyCounted, parallel: 2 }), count)
      assert.deepEqual(
        values.map(Number).sort((a, b) => a - b),
        Array.from({ length: count }, (_, n) => 2 * n),
      )
      await isDrained(queue, tq, count)
      await tq.close()
    },
  },
  {
    name: 'untilEmpty waits for tasks that other workers hold, and ends when they are deleted',
    async run(queue) {
      const tq = openerOf(queue)()
      await queue.fill(1)
      const theirs = await queue.takeOne()
      let ended = false
      const polling = tq.poll({ ...acting(() => undefined), untilEmpty: true }).finally(() => {
        ended = true
      })
      for (let looks = 0; looks < 2; looks++) await once(tq, 'idle')
      assert.equal(ended, false)
      noFailures(await queue.backend.delete([theirs], { tally: false }))
      assert.equal(await polling, 0)
      await tq.close()
    },
  },
  {
    name: 'a task that fails is retried, and after maxAttempts it is a dead letter with its reasons',
    async run(queue) {
      const tq = openerOf(queue)()
      const letters = new DeadLetterQueue()
      passWhenIdle(queue, tq)
      await tq.insert(tasksNamed('fails always', 'fails once'))
      const failed: string[] = []
      tq.events.on('failed', ({ task, error, retryInSeconds }) => {
        failed.push(`${task.attempt}: ${error}, ${retryInSeconds === undefined ? 'for good' : 'again'}`)
      })
      const act: Act = (name, { attempt }) => {
        if (name === 'fails always' || attempt === 1) throw new RangeError(`attempt ${attempt} of ${name}`)
      }
      const ran = await tq.poll({ ...acting(act), ...untilEmptyCounted, maxAttempts: 3, deadLetter: letters.url })
      assert.equal(ran, 1)
      assert.deepEqual(failed.sort(), [
        '1: RangeError: attempt 1 of fails always, again',
        '1: RangeError: attempt 1 of fails once, again',
        '2: RangeError: attempt 2 of fails always, again',
        '3: RangeError: attempt 3 of fails always, for good',
      ])
      const [letter, ...others] = await letters.list()
      assert.deepEqual(others, [])
      assert.deepEqual(letter?.payload(), [['ptq-testing', 'perform'], ['fails always'], {}, -1])
      assert.deepEqual(
        letter.failures.map(({ attempt, reason }) => [attempt, reason]),
        // Without a history the last failure is all that is known.
        (queue.capabilities.history || queue.capabilities.historyInLeases ? [1, 2, 3] : [3]).map(attempt => [
          attempt,
          `RangeError: attempt ${attempt} of fails always`,
        ]),
      )
      await isDrained(queue, tq, 1)
      await letters.remove()
      await tq.close()
    },
  },
  {
    name: 'a task whose holders died maxAttempts times while it ran alone is dead-lettered without running',
    async run(queue) {
      const tq = openerOf(queue)()
      const letters = new DeadLetterQueue()
      await tq.insert(tasksNamed('poison'))
      const { id } = await dieAlone(queue)
      const began: string[] = []
      const options = { ...acting(name => began.push(name)), maxAttempts: 1, deadLetter: letters.url }
      assert.equal(await tq.poll({ ...options, ...untilEmptyCounted }), 0)
      assert.deepEqual(began, [])
      const [letter] = await letters.list()
      assert.equal(letter?.id, id)
      assert.match(letter.failures.at(-1)?.reason ?? '', /^The attempts are over: /)
      await isDrained(queue, tq, 0)
      await letters.remove()
      await tq.close()
    },
  },
  {
    name: 'a task whose holders died beside other tasks runs alone, and does not become a dead letter for that',
    leftOut: ({ runsAlone, capabilities }) =>
      runsAlone === undefined && capabilities.releasesAlone !== true
        ? "it can't write down that a message runs alone: no `runsAlone`, no `capabilities.releasesAlone`"
        : undefined,
    async run(queue) {
      const tq = openerOf(queue)()
      const letters = new DeadLetterQueue()
      await tq.insert(tasksNamed('neighbour'))
      for (let deaths = 1; deaths <= 3; deaths++) await dieWith(queue)
      await tq.insert(tasksNamed('fresh', 'another'))
      passWhenIdle(queue, tq)
      let running = 0
      const began: string[] = []
      const act: Act = async name => {
        began.push(name)
        running++
        await nextTurn()
        const beside = running--
        if (name === 'neighbour') assert.equal(beside, 1)
      }
      const options = { ...acting(act), maxAttempts: 1, deadLetter: letters.url }
      assert.equal(await tq.poll({ ...options, ...untilEmptyCounted }), 3)
      assert.deepEqual(began.sort(), ['another', 'fresh', 'neighbour'])
      assert.deepEqual(await letters.list(), [])
      await isDrained(queue, tq, 3)
      await letters.remove()
      await tq.close()
    },
  },
  {
    name: 'a task that is not registered here is left to other workers, then becomes a dead letter with that reason',
    async run(queue) {
      const tq = openerOf(queue)()
      const letters = new DeadLetterQueue()
      passWhenIdle(queue, tq)
      await tq.insert({ class: 'NowhereToBeFound', n: 1 })
      const options = { ...acting(() => undefined), maxAttempts: 2, deadLetter: letters.url }
      assert.equal(await tq.poll({ ...options, stopFn: ({ failed }) => failed === 1 }), 0)
      assert.deepEqual(await letters.list(), [])
      await queue.pass(Math.max(1, queue.capabilities.secondsStep))
      const lease = await queue.takeOne()
      assert.equal(lease.attempt, 2, 'another worker may have it now')
      noFailures(await queue.backend.release([lease], { delaySeconds: 0 }))
      assert.equal(await tq.poll({ ...options, ...untilEmptyCounted }), 0)
      const [letter] = await letters.list()
      assert.deepEqual(letter?.payload(), { class: 'NowhereToBeFound', n: 1 })
      const last = letter.failures.at(-1)?.reason ?? ''
      // If each lease counts, the one in between was its last attempt.
      assert.match(last, queue.capabilities.uncountedReleases === false ? /attempts are over/ : /^not registered: /)
      await isDrained(queue, tq, 0)
      await letters.remove()
      await tq.close()
    },
  },
  {
    name: 'a worker that is stopped finishes its task and releases the rest, without counting an attempt',
    async run(queue) {
      const tq = openerOf(queue)()
      await tq.insert(tasksNamed(...numbered(30)))
      let begun = 0
      const stop = new AbortController()
      const act: Act = () => {
        if (++begun === 10) stop.abort()
      }
      assert.equal(await tq.poll({ ...acting(act), tally: true, signal: stop.signal }), 10)
      assert.equal(begun, 10)
      // None starts here: each is leased when the worker is stopped.
      const leased = new AbortController()
      const beforeFn = () => leased.abort()
      assert.equal(await tq.poll({ ...acting(act), tally: true, signal: leased.signal, beforeFn }), 0)
      assert.equal(begun, 10)
      const rest = await queue.take(20)
      if (queue.capabilities.uncountedReleases !== false) {
        for (const { attempt } of rest) assert.equal(attempt, 1)
      }
      const size = queue.capabilities.leaseBatch
      for (let start = 0; start < rest.length; start += size) {
        noFailures(await queue.backend.delete(rest.slice(start, start + size), { tally: false }))
      }
      await isDrained(queue, tq, 10)
      await tq.close()
    },
  },
]

/** Leases the one free message with a holder that dies. */
async function dieWith(queue: QueueUnderTest): Promise<Lease> {
  const lease = await queue.takeOne({ seconds: queue.shortSeconds, backend: await queue.open() })
  await queue.pass(queue.shortSeconds)
  return lease
}

/**
 * Lets holders that run the one message alone die until the queue has counted one such death, or an attempt if it can't
 * distinguish them.
 */
async function dieAlone(queue: QueueUnderTest): Promise<Lease> {
  const { backend, capabilities, shortSeconds } = queue
  const take = () => queue.takeOne({ seconds: shortSeconds })
  for (let deaths = 0; ; deaths++) {
    const lease = await take()
    if (deaths > 0 && (lease.deaths === undefined || (lease.deathsAlone ?? 0) > 0)) {
      noFailures(await backend.release([lease], { delaySeconds: 0 }))
      return lease
    }
    if (capabilities.releasesAlone && !lease.alone) {
      noFailures(await backend.release([lease], { delaySeconds: 0, alone: true }))
      await take()
    } else {
      await backend.runsAlone?.(lease)
    }
    await queue.pass(shortSeconds)
  }
}
