/** What workers (`poll`) on this backend have to do: tasks run, fail, outlast their lease, and none is lost. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Lease } from '../backend/messages.js'
import type { PollOptions } from '../poll/poll-options.js'
import type { WorkerEventMap } from '../poll/worker-events.js'
import type { ListedTask } from '../queue/queued-task.js'
import { TaskQueue } from '../task-queue.js'
import { FunctionTask } from '../tasks/task.js'
import { type ConformanceCase, noFailures, type QueueUnderTest } from './queue-under-test.js'
import { openerOf, withRenew } from './task-queues.js'
import { type Act, double } from './worker-tasks.js'

/** Looks at the queue all the time. */
const eager = { minBackoffSeconds: 0.01, maxBackoffSeconds: 0.02 } as const

/** Options of a worker whose tasks are acted out by the case. */
function acting(act: Act): PollOptions {
  return { ...eager, parallel: 0, executeArgs: [act] }
}

function performances(...names: string[]): FunctionTask[] {
  return names.map(name => new FunctionTask(['ptq-testing', 'perform'], [name]))
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `task ${n}`)
}

/** The lease of a worker, in seconds. It is renewed by the machine's clock, whatever the queue's own is. */
function workerLease({ capabilities, realTime, shortSeconds }: QueueUnderTest): number {
  return realTime ? Math.max(shortSeconds, 1) : Math.max(capabilities.secondsStep, 0.2)
}

/** Whenever the worker finds nothing, the queue's clock goes on, if it has one: what waits becomes free. */
function passWhenIdle(queue: QueueUnderTest, tq: TaskQueue): void {
  tq.events.on('idle', async () => queue.pass(Math.max(1, queue.capabilities.secondsStep)))
}

function once<Name extends keyof WorkerEventMap>(tq: TaskQueue, name: Name): Promise<WorkerEventMap[Name]> {
  return new Promise(resolve => {
    const listener = (event: WorkerEventMap[Name]) => {
      tq.events.off(name, listener)
      resolve(event)
    }
    tq.events.on(name, listener)
  })
}

/** A place for dead letters of the case's own, whatever the backend has. */
class Letters {
  readonly url = `mem://ptq-test-${randomUUID()}`
  readonly #tq = new TaskQueue(this.url, { progress: false })

  list(): Promise<ListedTask[]> {
    return this.#tq.list()
  }

  async remove(): Promise<void> {
    await this.#tq.purge()
    await this.#tq.close()
  }
}

/** Nothing is in the queue; `completed` tasks were counted, where it can count. */
async function isDrained(queue: QueueUnderTest, tq: TaskQueue, completed: number): Promise<void> {
  assert.equal(await tq.isEmpty(), true)
  if (queue.capabilities.counters) assert.equal(await tq.completed(), completed)
}

const counted = { tally: true, untilEmpty: true } as const

export const workerCases: readonly ConformanceCase[] = [
  {
    name: 'workers drain it together: each task runs once, each completion is counted if asked',
    async run(queue) {
      const open = openerOf(queue)
      const [one, two] = [open(), open()]
      const names = numbered(60)
      await one.insert(performances(...names))
      const ran: string[] = []
      const options = { ...acting(name => ran.push(name)), ...counted }
      const executed = await Promise.all([one.poll(options), two.poll(options)])
      assert.equal(executed[0] + executed[1], names.length)
      assert.deepEqual(ran.sort(), names.sort())
      await isDrained(queue, one, names.length)

      await one.insert(performances('not counted'))
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
      assert.equal(await tq.poll({ ...eager, ...counted, parallel: 2 }), count)
      assert.deepEqual(
        values.map(Number).sort((a, b) => a - b),
        Array.from({ length: count }, (_, n) => 2 * n),
      )
      await isDrained(queue, tq, count)
      await tq.close()
    },
  },
  {
    name: 'untilEmpty waits for what other workers hold, and ends when that is gone',
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
    name: 'a task that fails is tried again, and after maxAttempts it is a dead letter with its reasons',
    async run(queue) {
      const tq = openerOf(queue)()
      const letters = new Letters()
      passWhenIdle(queue, tq)
      await tq.insert(performances('fails always', 'fails once'))
      const failed: string[] = []
      tq.events.on('failed', ({ task, error, retryInSeconds }) => {
        failed.push(`${task.attempt}: ${error}, ${retryInSeconds === undefined ? 'for good' : 'again'}`)
      })
      const act: Act = (name, { attempt }) => {
        if (name === 'fails always' || attempt === 1) throw new RangeError(`attempt ${attempt} of ${name}`)
      }
      const ran = await tq.poll({ ...acting(act), ...counted, maxAttempts: 3, deadLetter: letters.url })
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
    name: 'a task whose holders died while it ran alone is a dead letter after so many deaths, and does not run',
    async run(queue) {
      const tq = openerOf(queue)()
      const letters = new Letters()
      await tq.insert(performances('poison'))
      const { id } = await dieAlone(queue)
      const began: string[] = []
      const options = { ...acting(name => began.push(name)), maxAttempts: 1, deadLetter: letters.url }
      assert.equal(await tq.poll({ ...options, ...counted }), 0)
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
    name: 'a task whose holders died is run alone, and is no dead letter for that: it may have been a neighbour',
    leftOut: ({ runsAlone, capabilities }) =>
      runsAlone === undefined && capabilities.releasesAlone !== true
        ? "it can't write down that a message runs alone: no `runsAlone`, no `capabilities.releasesAlone`"
        : undefined,
    async run(queue) {
      const tq = openerOf(queue)()
      const letters = new Letters()
      await tq.insert(performances('neighbour'))
      for (let deaths = 1; deaths <= 3; deaths++) await dieWith(queue)
      await tq.insert(performances('fresh', 'another'))
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
      assert.equal(await tq.poll({ ...options, ...counted }), 3)
      assert.deepEqual(began.sort(), ['another', 'fresh', 'neighbour'])
      assert.deepEqual(await letters.list(), [])
      await isDrained(queue, tq, 3)
      await letters.remove()
      await tq.close()
    },
  },
  {
    name: 'a task that is not registered here is left to other workers, then a dead letter that says so',
    async run(queue) {
      const tq = openerOf(queue)()
      const letters = new Letters()
      passWhenIdle(queue, tq)
      await tq.insert({ class: 'NowhereToBeFound', n: 1 })
      const options = { ...acting(() => undefined), maxAttempts: 2, deadLetter: letters.url }
      assert.equal(await tq.poll({ ...options, stopFn: ({ failed }) => failed === 1 }), 0)
      assert.deepEqual(await letters.list(), [])
      await queue.pass(Math.max(1, queue.capabilities.secondsStep))
      const lease = await queue.takeOne()
      assert.equal(lease.attempt, 2, 'another worker may have it now')
      noFailures(await queue.backend.release([lease], { delaySeconds: 0 }))
      assert.equal(await tq.poll({ ...options, ...counted }), 0)
      const [letter] = await letters.list()
      assert.deepEqual(letter?.payload(), { class: 'NowhereToBeFound', n: 1 })
      const last = letter.failures.at(-1)?.reason ?? ''
      // Where each lease counts, the one in between was its last attempt.
      assert.match(last, queue.capabilities.uncountedReleases === false ? /attempts are over/ : /^not registered: /)
      await isDrained(queue, tq, 0)
      await letters.remove()
      await tq.close()
    },
  },
  {
    name: 'a task that outlasts its lease keeps it, and runs once',
    async run(queue) {
      const tq = openerOf(queue)()
      const other = await queue.open()
      const leaseSeconds = workerLease(queue)
      await tq.insert(performances('long'))
      let runs = 0
      const act: Act = async () => {
        runs++
        // Each is at half a lease: the first one was over long ago.
        for (let renewals = 0; renewals < 3; renewals++) {
          await once(tq, 'renewed')
          await queue.pass(0.6 * leaseSeconds)
        }
        await queue.nothingFree(other)
      }
      assert.equal(await tq.poll({ ...acting(act), ...counted, leaseSeconds, onError: 'throw' }), 1)
      assert.equal(runs, 1)
      await isDrained(queue, tq, 1)
      await tq.close()
    },
  },
  {
    name: 'a task whose lease was lost while it ran is aborted, and neither removed nor counted',
    async run(queue) {
      let reconnect: () => void = () => undefined
      const connected = new Promise<void>(resolve => {
        reconnect = resolve
      })
      // Cut off until somebody else has it.
      const cutOff = openerOf(queue, backend =>
        withRenew(backend, target => async (leases, seconds) => {
          await connected
          return target.renew(leases, seconds)
        }),
      )
      await lose(queue, cutOff(), async ({ signal }, take) => {
        await take()
        reconnect()
        if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve))
      })
    },
  },
  {
    name: 'a task that ended after its lease did is neither removed nor counted',
    async run(queue) {
      // It believes that it renews.
      const cutOff = openerOf(queue, backend => withRenew(backend, () => async () => []))
      await lose(queue, cutOff(), (_, take) => take())
    },
  },
  {
    name: 'a worker that is told to stop ends its task and gives back the rest, no attempt counted',
    async run(queue) {
      const tq = openerOf(queue)()
      await tq.insert(performances(...numbered(30)))
      let begun = 0
      const stop = new AbortController()
      const act: Act = () => {
        if (++begun === 10) stop.abort()
      }
      assert.equal(await tq.poll({ ...acting(act), tally: true, signal: stop.signal }), 10)
      assert.equal(begun, 10)
      // None is begun here: each is leased when the worker is told.
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

/** A holder leases the one free message and is never heard of again. */
async function dieWith(queue: QueueUnderTest): Promise<Lease> {
  const lease = await queue.takeOne({ seconds: queue.shortSeconds, backend: await queue.open() })
  await queue.pass(queue.shortSeconds)
  return lease
}

/** Holders that run the one message alone die until the queue has counted one such death, or an attempt where it can't tell. */
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

/** A task of `tq` ends by `act`, in which another holder takes it away: `take`. */
async function lose(
  queue: QueueUnderTest,
  tq: TaskQueue,
  act: (running: Parameters<Act>[1], take: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const next = await queue.open()
  const leaseSeconds = workerLease(queue)
  await tq.insert(performances('lost'))
  const stop = new AbortController()
  const taken: Awaited<ReturnType<typeof queue.take>> = []
  const take = async () => {
    await queue.pass(leaseSeconds)
    taken.push(...(await queue.take(1, { backend: next })))
  }
  const lost = once(tq, 'lost').then(() => stop.abort())
  const polling = tq.poll({
    ...acting((_, running) => act(running, take)),
    tally: true,
    leaseSeconds,
    signal: stop.signal,
  })
  await lost
  assert.equal(await polling, 0)
  if (queue.capabilities.counters) assert.equal(await tq.completed(), 0)
  noFailures(await next.delete(taken, { tally: true }))
  await isDrained(queue, tq, 1)
  await tq.close()
}
