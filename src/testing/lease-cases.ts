/** Cases of leases: one holder at a time, and a former holder gets LeaseLostError. */
import assert from 'node:assert/strict'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Backend } from '../backend/backend.js'
import type { Failure, Lease } from '../backend/messages.js'
import { LeaseLostError } from '../errors/errors.js'
import { type ConformanceCase, ids, noFailures, onlyLost, type QueueUnderTest } from './queue-under-test.js'

export const leaseCases: readonly ConformanceCase[] = [
  {
    name: 'a leased message is leased to no other holder',
    async run(queue) {
      const other = await queue.open()
      await queue.fill(1)
      const lease = await queue.takeOne()
      await queue.nothingFree()
      await queue.nothingFree(other)
      noFailures(await queue.backend.delete([lease], { tally: false }))
      await queue.nothingFree(other)
    },
  },
  {
    name: 'concurrent lease calls return each message to one holder',
    async run(queue) {
      const holders = [queue.backend, await queue.open(), await queue.open()]
      const messages = await queue.fill(100)
      const taken: Lease[] = []
      await Promise.all(
        holders.flatMap(backend =>
          [1, 3, 10].map(async max => {
            while (taken.length < messages.length) {
              const leases = await backend.lease({ seconds: queue.longSeconds, max, waitSeconds: 0 })
              // A backend may miss some for a moment; they come in the next round.
              taken.push(...leases)
              await nextTurn()
            }
          }),
        ),
      )
      assert.deepEqual(ids(taken), ids(messages))
      await queue.nothingFree()
    },
  },
  {
    name: 'a waiting lease call returns the message that another process inserts',
    async run(queue) {
      const other = await queue.open()
      const waiting = queue.backend.lease({ seconds: queue.longSeconds, max: 1, waitSeconds: 30 })
      const message = queue.message()
      noFailures(await other.insert([message], { delaySeconds: 0 }))
      assert.deepEqual(ids(await waiting), [message.id])
    },
  },
  {
    name: 'a wait without a message resolves with an empty array',
    async run(queue) {
      const waitSeconds = Math.max(1, queue.capabilities.secondsStep)
      const waiting = queue.backend.lease({ seconds: queue.longSeconds, max: 1, waitSeconds })
      await queue.pass(waitSeconds)
      assert.deepEqual(await waiting, [])
    },
  },
  {
    name: 'an abort ends the wait',
    async run(queue) {
      const abort = new AbortController()
      const options = { seconds: queue.longSeconds, max: 1, waitSeconds: 10_000, signal: abort.signal }
      const waiting = queue.backend.lease(options)
      await nextTurn()
      abort.abort()
      assert.deepEqual(await waiting, [])
      assert.deepEqual(await queue.backend.lease(options), [])
    },
  },
  {
    name: 'a message whose lease expired is leased to another holder, and the late holder can change nothing',
    async run(queue) {
      const late = queue.backend
      const next = await queue.open()
      await queue.fill(3)
      const [renewed, released, deleted] = await queue.take(3, { seconds: queue.shortSeconds })
      assert.ok(renewed && released && deleted)
      await queue.pass(queue.shortSeconds)
      const leases = await queue.take(3, { backend: next })
      for (const { attempt } of leases) assert.equal(attempt, 2, 'a lease that ran out was an attempt')

      onlyLost(await late.renew([renewed], queue.longSeconds), 0, renewed)
      onlyLost(await late.release([released], { delaySeconds: 0 }), 0, released)
      onlyLost(await late.delete([deleted], { tally: true }), 0, deleted)
      await queue.nothingFree(late)
      if (queue.capabilities.counters) assert.equal((await late.counts()).completed, 0)

      noFailures(await next.delete(leases, { tally: true }))
      if (queue.capabilities.counters) assert.equal((await late.counts()).completed, 3)
      if (queue.capabilities.exactCounts) assert.equal((await late.counts()).enqueued, 0)
    },
  },
  {
    name: 'one lost lease of a batch is reported; the others are processed',
    async run(queue) {
      const next = await queue.open()
      await queue.fill(1)
      const lost = await queue.takeOne({ seconds: queue.shortSeconds })
      await queue.pass(queue.shortSeconds)
      const again = await queue.takeOne({ backend: next })
      await queue.fill(2)
      const [first, last] = await queue.take(2)
      assert.ok(first && last)
      if (queue.capabilities.leaseBatch >= 3) {
        onlyLost(await queue.backend.delete([first, lost, last], { tally: false }), 1, lost)
      } else {
        for (const lease of [first, last]) noFailures(await queue.backend.delete([lease], { tally: false }))
      }
      noFailures(await next.release([again], { delaySeconds: 0 }))
      assert.equal((await queue.takeOne()).id, lost.id)
      await queue.nothingFree()
    },
  },
  {
    name: 'of two leases of a message in one batch, the one that was lost is reported, and the other changes it once',
    leftOut: ({ capabilities }) => (capabilities.leaseBatch >= 2 ? undefined : 'it changes one lease a call'),
    async run(queue) {
      const { backend } = queue
      await queue.fill(1)
      const lost = await queue.takeOne({ seconds: queue.shortSeconds })
      await queue.pass(queue.shortSeconds)
      const held = await queue.takeOne()
      onlyLost(await backend.renew([lost, held], queue.longSeconds), 0, lost)
      onlyLost(await backend.delete([held, lost], { tally: true }), 1, lost)
      const { enqueued, completed } = await backend.counts()
      if (queue.capabilities.exactCounts) assert.equal(enqueued, 0)
      if (queue.capabilities.counters) assert.equal(completed, 1)
      await queue.nothingFree()
    },
  },
  {
    name: 'a renewed lease lasts from the renewal, which counts no attempt',
    async run(queue) {
      const { backend, shortSeconds } = queue
      await queue.fill(1)
      const lease = await queue.takeOne({ seconds: shortSeconds })
      noFailures(await backend.renew([lease], shortSeconds))
      noFailures(await backend.renew([lease], queue.longSeconds))
      // Free only after the first lease would have been over: the holder of this one has waited long enough.
      const [marker] = await queue.fill(1, shortSeconds)
      await queue.pass(shortSeconds)
      assert.equal((await queue.takeOne()).id, marker?.id)
      await queue.nothingFree()
      noFailures(await backend.release([lease], { delaySeconds: 0 }))
      const again = await queue.takeOne()
      assert.equal(again.id, lease.id)
      assert.equal(again.attempt, queue.capabilities.uncountedReleases === false ? 2 : 1)
      noFailures(await backend.delete([again], { tally: false }))
    },
  },
  {
    name: 'a released message is available at once, and its former holder can no longer change it',
    async run(queue) {
      const other = await queue.open()
      await queue.fill(1)
      const lease = await queue.takeOne()
      noFailures(await queue.backend.release([lease], { delaySeconds: 0 }))
      const again = await queue.takeOne({ backend: other })
      assert.equal(again.id, lease.id)
      assert.equal(again.body, lease.body)
      onlyLost(await queue.backend.delete([lease], { tally: true }), 0, lease)
      noFailures(await other.delete([again], { tally: true }))
    },
  },
  {
    name: 'a release without a failure counts no attempt',
    leftOut: ({ capabilities }) =>
      capabilities.uncountedReleases === false
        ? 'its backend counts every lease, capabilities.uncountedReleases'
        : undefined,
    async run(queue) {
      await queue.fill(1)
      for (let round = 0; round < 3; round++) {
        const lease = await queue.takeOne()
        assert.equal(lease.attempt, 1)
        noFailures(await queue.backend.release([lease], { delaySeconds: 0 }))
      }
    },
  },
  {
    name: 'a message that is released with a delay is available after it',
    async run(queue) {
      const { backend, shortSeconds, longSeconds } = queue
      await queue.fill(1)
      const later = await queue.takeOne()
      noFailures(await backend.release([later], { delaySeconds: longSeconds }))
      await queue.nothingFree()
      if (queue.capabilities.exactCounts) {
        const { enqueued, leased } = await backend.counts()
        assert.deepEqual({ enqueued, leased }, { enqueued: 1, leased: 0 }, 'not held')
      }
      await queue.fill(1)
      const soon = await queue.takeOne()
      noFailures(await backend.release([soon], { delaySeconds: shortSeconds }))
      await queue.pass(shortSeconds)
      assert.equal((await queue.takeOne()).id, soon.id)
    },
  },
  {
    name: 'an expired lease counts as a death, a release or a failure does not',
    leftOut: cannotMark,
    async run(queue) {
      await queue.fill(1)
      await dies(queue)
      const given = await counted(queue, { attempt: 2, deaths: 1, deathsAlone: 0 })
      noFailures(await queue.backend.release([given], { delaySeconds: 0 }))
      const failed = await counted(queue, { attempt: 2, deaths: 1, deathsAlone: 0 })
      noFailures(await queue.backend.release([failed], { delaySeconds: 0, failure: failureOf(failed) }))
      await queue.pass(queue.shortSeconds)
      const last = await counted(queue, { attempt: 3, deaths: 1, deathsAlone: 0 })
      noFailures(await queue.backend.delete([last], { tally: false }))
    },
  },
  {
    name: 'only deaths of a holder that recorded that it runs the message alone count as deaths alone',
    leftOut: cannotMark,
    async run(queue) {
      const { backend } = queue
      const alone = async (lease: Lease) => {
        noFailures(await backend.renew([lease], queue.shortSeconds))
        await backend.runsAlone?.(lease)
      }
      await queue.fill(1)
      await dies(queue, alone)
      await dies(queue)
      const given = await counted(queue, { attempt: 3, deaths: 2, deathsAlone: 1 })
      await alone(given)
      noFailures(await backend.release([given], { delaySeconds: 0 }))
      await dies(queue)
      const failed = await counted(queue, { attempt: 4, deaths: 3, deathsAlone: 1 })
      await alone(failed)
      noFailures(await backend.release([failed], { delaySeconds: 0, failure: failureOf(failed) }))
      await queue.pass(queue.shortSeconds)
      await dies(queue, alone)
      const released = await counted(queue, { attempt: 6, deaths: 4, deathsAlone: 2 })
      await alone(released)
      if (queue.capabilities.releaseAll) assert.equal(await backend.releaseAll?.(), 1)
      else noFailures(await backend.release([released], { delaySeconds: 0 }))
      await dies(queue)
      const last = await counted(queue, { attempt: 7, deaths: 5, deathsAlone: 2 })
      noFailures(await backend.delete([last], { tally: false }))
      await assert.rejects(async () => backend.runsAlone?.(last), LeaseLostError)
    },
  },
]

function cannotMark(backend: Backend): string | undefined {
  return backend.runsAlone === undefined ? "it can't write down that a message runs alone: no `runsAlone`" : undefined
}

/** Lets a holder run `act` with the one free message and die. */
async function dies(queue: QueueUnderTest, act?: (lease: Lease) => Promise<void>): Promise<void> {
  const lease = await queue.takeOne({ seconds: queue.shortSeconds })
  await act?.(lease)
  await queue.pass(queue.shortSeconds)
}

/** Leases the one free message, which has to be known to have had such a past. */
async function counted(
  queue: QueueUnderTest,
  expected: Required<Pick<Lease, 'attempt' | 'deaths' | 'deathsAlone'>>,
): Promise<Lease> {
  const lease = await queue.takeOne()
  const { attempt, deaths = 0, deathsAlone = 0 } = lease
  assert.deepEqual({ attempt, deaths, deathsAlone }, expected)
  return lease
}

function failureOf({ attempt }: Lease): Failure {
  return { attempt, reason: 'Error: on purpose', host: 'here', pid: 1, failedAtMs: 1, durationSeconds: 0 }
}
