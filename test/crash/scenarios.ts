/** Operations on a queue during which a process may die or its filesystem may fail. */
import assert from 'node:assert/strict'
import type { Backend } from '#ptq/backend/backend.js'
import type { BatchFailure, Lease, Message } from '#ptq/backend/messages.js'
import { failure, insert, leaseNow, messages } from '../fq/messages.js'
import { NO_WORK } from './no-work.js'

/** A queue before the fault. */
export interface Fixture {
  readonly root: string
  /** The queue as a healthy process has it open. */
  readonly queue: Backend
  pass(seconds: number): void
  /** Messages that `prepare` puts into the queue, and those that `act` adds. */
  before: readonly Message[]
  during: readonly Message[]
  leases: Lease[]
  /** The number of leases that `act` reported as ended. */
  released: number
  /** True if a warning said that deleted messages are not counted. */
  isUncounted?: boolean
}

/** Least and most. */
export type Span = readonly [number, number]

export interface Scenario {
  readonly name: string
  prepare(fixture: Fixture): Promise<void>
  /** Resolves with what could not be done. */
  act(queue: Backend, fixture: Fixture): Promise<readonly BatchFailure[] | undefined>
  /** Messages that have to be in the queue if `act` did not resolve, or always; all others may be. */
  mustStay(fixture: Fixture): readonly Message[]
  /** The attempt of the next lease of each. */
  readonly attempts?: Span
  /** The allowed counts if `act` did not resolve. Default 0. */
  readonly inserted?: Span
  readonly completed?: Span
  /** Assertions if `act` resolved without failures. */
  settled?(queue: Backend, fixture: Fixture): Promise<void>
}

const all = ({ before }: Fixture) => before

/** Three tasks, never leased. */
async function threeTasks(fixture: Fixture): Promise<void> {
  fixture.before = await insert(fixture.queue, 3)
}

/** Three tasks, all leased. */
async function threeLeases(fixture: Fixture): Promise<void> {
  await threeTasks(fixture)
  fixture.leases = await leaseNow(fixture.queue, 3, 60)
}

/** Three tasks with a past: failed once, leased again. */
async function threeSecondLeases(fixture: Fixture): Promise<void> {
  await threeLeases(fixture)
  assert.deepEqual(await fixture.queue.release(fixture.leases, { delaySeconds: 0, failure: failure(1) }), [])
  fixture.pass(100)
  fixture.leases = await leaseNow(fixture.queue, 3, 60)
  assert.equal(fixture.leases.length, 3)
}

async function requireEnqueued(queue: Backend, expected: number): Promise<void> {
  assert.equal((await queue.counts()).enqueued, expected)
}

export const scenarios: readonly Scenario[] = [
  {
    name: 'the first insert, which makes the queue',
    prepare: async fixture => {
      fixture.during = messages(fixture.root, 3)
    },
    act: (queue, { during }) => queue.insert(during, { delaySeconds: 0 }),
    mustStay: () => [],
    settled: queue => requireEnqueued(queue, 3),
  },
  {
    name: 'insert',
    prepare: async fixture => {
      await threeTasks(fixture)
      fixture.during = messages(fixture.root, 3)
    },
    act: (queue, { during }) => queue.insert(during, { delaySeconds: 0 }),
    mustStay: all,
    settled: queue => requireEnqueued(queue, 6),
  },
  {
    name: 'an insert with a delay',
    prepare: async fixture => {
      await threeTasks(fixture)
      fixture.during = messages(fixture.root, 3)
    },
    act: (queue, { during }) => queue.insert(during, { delaySeconds: 50 }),
    mustStay: all,
    settled: async queue => assert.equal((await queue.counts()).delayed, 3),
  },
  {
    name: 'lease',
    prepare: threeTasks,
    act: async (queue, fixture) => {
      fixture.leases = await leaseNow(queue, 3, 60)
      return undefined
    },
    mustStay: all,
    attempts: [1, 2],
  },
  {
    name: 'a lease that takes over',
    prepare: async fixture => {
      await threeLeases(fixture)
      fixture.pass(100)
    },
    act: async (queue, fixture) => {
      fixture.leases = await leaseNow(queue, 3, 60)
      return undefined
    },
    mustStay: all,
    // A process that dies between the rename and the record leaves an attempt uncounted.
    attempts: [2, 3],
  },
  {
    name: 'renew',
    prepare: threeLeases,
    act: (queue, { leases }) => queue.renew(leases, 200),
    mustStay: all,
    attempts: [2, 2],
    settled: async queue => assert.equal((await queue.counts()).leased, 3),
  },
  {
    name: 'release',
    prepare: threeLeases,
    act: (queue, { leases }) => queue.release(leases, { delaySeconds: 0 }),
    mustStay: all,
    attempts: [1, 2],
    settled: async queue => assert.equal((await queue.counts()).leased, 0),
  },
  {
    name: 'a release of tasks with a past',
    prepare: threeSecondLeases,
    act: (queue, { leases }) => queue.release(leases, { delaySeconds: 0 }),
    mustStay: all,
    attempts: [2, 3],
    settled: async (queue, { leases }) => {
      assert.equal((await queue.counts()).leased, 0)
      const again = await leaseNow(queue, 3, 60)
      assert.deepEqual(
        again.map(({ attempt }) => attempt),
        leases.map(() => 2),
      )
      assert.deepEqual(await queue.release(again, { delaySeconds: 0 }), [])
    },
  },
  {
    name: 'a release with a delay',
    prepare: threeSecondLeases,
    act: (queue, { leases }) => queue.release(leases, { delaySeconds: 50 }),
    mustStay: all,
    attempts: [2, 3],
    settled: async queue => assert.equal((await queue.counts()).delayed, 3),
  },
  {
    name: 'a release with a failure',
    prepare: threeLeases,
    act: (queue, { leases }) => queue.release(leases, { delaySeconds: 50, failure: failure(1) }),
    mustStay: all,
    attempts: [2, 2],
    settled: async (queue, { before }) => {
      for (const message of before) assert.equal((await queue.failures?.(message))?.length, 1)
    },
  },
  {
    name: 'a release with a second failure',
    prepare: threeSecondLeases,
    act: (queue, { leases }) => queue.release(leases, { delaySeconds: 0, failure: failure(2) }),
    mustStay: all,
    attempts: [3, 3],
    settled: async (queue, { before }) => {
      for (const message of before) assert.equal((await queue.failures?.(message))?.length, 2)
    },
  },
  {
    name: 'writing that tasks run alone',
    prepare: threeSecondLeases,
    act: async (queue, { leases }) => {
      for (const lease of leases) await queue.runsAlone?.(lease)
      return undefined
    },
    mustStay: all,
    attempts: [3, 3],
  },
  {
    name: 'a delete with a tally',
    prepare: threeLeases,
    async act(queue, fixture) {
      fixture.isUncounted = false
      const listen = (warning: Error & { code?: string }) => {
        if (warning.code === 'PTQ_NOT_COUNTED') fixture.isUncounted = true
      }
      process.on('warning', listen)
      try {
        return await queue.delete(fixture.leases.slice(0, 2), { tally: true })
      } finally {
        // Node gives warnings in the next tick.
        await new Promise(resolve => setImmediate(resolve))
        process.off('warning', listen)
      }
    },
    mustStay: ({ before, leases }) => before.filter(({ id }) => id === leases[2]?.id),
    attempts: [2, 2],
    completed: [0, 2],
    async settled(queue, { isUncounted }) {
      const { enqueued, completed } = await queue.counts()
      assert.equal(enqueued, 1)
      // A missing count was reported by a warning; its allowed values are checked with `completed` above.
      if (!isUncounted) assert.equal(completed, 2)
    },
  },
  {
    name: 'a delete of tasks with a past',
    prepare: threeSecondLeases,
    act: (queue, { leases }) => queue.delete(leases.slice(0, 2), { tally: false }),
    mustStay: ({ before, leases }) => before.filter(({ id }) => id === leases[2]?.id),
    attempts: [3, 3],
    settled: queue => requireEnqueued(queue, 1),
  },
  {
    name: 'quarantine',
    prepare: threeSecondLeases,
    act: async (queue, { leases }) => {
      const [lease] = leases
      if (lease !== undefined) await queue.quarantine?.(lease, 'it is no task')
      return undefined
    },
    mustStay: ({ before, leases }) => before.filter(({ id }) => id !== leases[0]?.id),
    attempts: [3, 3],
    settled: async queue => assert.equal((await queue.counts()).quarantined, 1),
  },
  {
    name: 'releaseAll',
    prepare: threeSecondLeases,
    act: async (queue, fixture) => {
      fixture.released = (await queue.releaseAll?.()) ?? 0
      return undefined
    },
    mustStay: all,
    // A holder whose lease was ended by force made no attempt.
    attempts: [2, 3],
    settled: async (queue, { released }) => assert.equal((await queue.counts()).leased, 3 - released),
  },
  {
    name: 'addInserted, the first time',
    prepare: threeTasks,
    act: async queue => {
      await queue.addInserted?.(5)
      return undefined
    },
    mustStay: all,
    inserted: [0, 5],
    settled: async queue => assert.equal((await queue.counts()).inserted, 5),
  },
  {
    name: 'addInserted',
    prepare: async fixture => {
      await threeTasks(fixture)
      await fixture.queue.addInserted?.(3)
    },
    act: async queue => {
      await queue.addInserted?.(5)
      return undefined
    },
    mustStay: all,
    inserted: [3, 8],
    settled: async queue => assert.equal((await queue.counts()).inserted, 8),
  },
  {
    name: 'rezero',
    prepare: async fixture => {
      await threeLeases(fixture)
      await fixture.queue.addInserted?.(3)
      await fixture.queue.delete(fixture.leases.slice(0, 1), { tally: true })
      fixture.before = fixture.before.filter(({ id }) => id !== fixture.leases[0]?.id)
    },
    act: async queue => {
      await queue.rezero?.()
      return undefined
    },
    mustStay: all,
    attempts: [2, 2],
    inserted: [0, 3],
    completed: [0, 1],
    settled: async queue => {
      const { inserted, completed } = await queue.counts()
      assert.deepEqual({ inserted, completed }, { inserted: 0, completed: 0 })
    },
  },
  {
    name: 'purge',
    prepare: async fixture => {
      await threeSecondLeases(fixture)
      await insert(fixture.queue, 2, 50).then(delayed => {
        fixture.before = [...fixture.before, ...delayed]
      })
      await fixture.queue.addInserted?.(5)
    },
    act: async queue => {
      await queue.purge({ native: false })
      return undefined
    },
    mustStay: () => [],
    attempts: [1, 3],
    inserted: [0, 5],
    settled: async queue => {
      const { enqueued, inserted } = await queue.counts()
      assert.deepEqual({ enqueued, inserted }, { enqueued: 0, inserted: 0 })
    },
  },
  {
    name: 'the status of a worker',
    prepare: threeTasks,
    act: async queue => {
      await queue.reportWorker?.('somebody', NO_WORK)
      await queue.reportWorker?.('somebody', undefined)
      return undefined
    },
    mustStay: all,
  },
]
