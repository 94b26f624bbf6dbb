// A failure that the queue can't record, as on a full disk.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe } from 'node:test'
import { ManualClock } from 'ptq/testing'
import type { Backend } from '#ptq/backend/backend.js'
import type { Failure, Lease } from '#ptq/backend/messages.js'
import { onEach, type TestQueue, task } from './queues.js'

const fullDisk = () => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })

/** A backend that takes no failures. */
function withoutFailures(backend: Backend): Backend {
  const release = async (leases: readonly Lease[], options: { delaySeconds: number; failure?: Failure }) => {
    if (options.failure !== undefined) throw fullDisk()
    return backend.release(leases, options)
  }
  return new Proxy(backend, {
    get(target, key) {
      if (key === 'release') return release
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

async function assertLeasable(queue: TestQueue): Promise<void> {
  const backend = await queue.backend()
  const leases = await backend.lease({ seconds: 60, max: 10, waitSeconds: 0 })
  assert.deepEqual(
    leases.map(({ attempt }) => attempt),
    [1],
  )
}

describe('a failure that cannot be recorded', { concurrency: 1 }, () => {
  onEach('ends the worker with that error, and leaves the task available at once', async queue => {
    await queue.open().insert([task('throwing', 'no')])
    const backend = withoutFailures(await queue.backend())
    const { worker } = await queue.worker({ parallel: 0 }, { clock: new ManualClock(), random: () => 1, backend })
    await assert.rejects(worker.work(), /ENOSPC/)
    await assertLeasable(queue)
  })

  onEach(
    'in a read-only folder leaves the task available at once',
    async queue => {
      const tq = queue.open()
      await tq.insert([task('throwing', 'no')])
      writeFileSync(join(queue.folder, 'queue', 'failures'), '')
      await assert.rejects(tq.poll({ parallel: 0 }), /ENOTDIR/)
      await assertLeasable(queue)
    },
    ['fq'],
  )
})
