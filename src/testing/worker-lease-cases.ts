/** Cases of workers whose tasks outlast their leases, or lose them. */
import assert from 'node:assert/strict'
import type { TaskQueue } from '../task-queue.js'
import { type ConformanceCase, noFailures, type QueueUnderTest } from './queue-under-test.js'
import { openerOf, withRenew } from './task-queues.js'
import { acting, isDrained, once, tasksNamed, untilEmptyCounted, workerLease } from './worker-setup.js'
import type { Act } from './worker-tasks.js'

export const workerLeaseCases: readonly ConformanceCase[] = [
  {
    name: 'a task that outlasts its lease keeps it, and runs once',
    async run(queue) {
      const tq = openerOf(queue)()
      const other = await queue.open()
      const leaseSeconds = workerLease(queue)
      await tq.insert(tasksNamed('long'))
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
      assert.equal(await tq.poll({ ...acting(act), ...untilEmptyCounted, leaseSeconds, onError: 'throw' }), 1)
      assert.equal(runs, 1)
      await isDrained(queue, tq, 1)
      await tq.close()
    },
  },
  {
    name: 'a task whose lease was lost while it ran is aborted, and neither deleted nor counted',
    async run(queue) {
      let reconnect: () => void = () => undefined
      const connected = new Promise<void>(resolve => {
        reconnect = resolve
      })
      // Cut off until another holder has it.
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
    name: 'a task that ended after its lease is neither deleted nor counted',
    async run(queue) {
      // Its renewals seem to succeed.
      const cutOff = openerOf(queue, backend => withRenew(backend, () => async () => []))
      await lose(queue, cutOff(), (_, take) => take())
    },
  },
]

/** A task of `tq` ends by `act`, in which another holder takes it away: `take`. */
async function lose(
  queue: QueueUnderTest,
  tq: TaskQueue,
  act: (running: Parameters<Act>[1], take: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const next = await queue.open()
  const leaseSeconds = workerLease(queue)
  await tq.insert(tasksNamed('lost'))
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
