/**
 * The conformance suite: the behaviour of every backend, ours and yours. It runs on Node's test runner.
 *
 * ```ts
 * import { testBackend } from 'ptq/testing'
 *
 * testBackend({ name: 'redis', open: queue => openRedis(queue), remove: queue => dropRedis(queue) })
 * ```
 */
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import type { Backend } from '../backend/backend.js'
import { argumentError } from '../errors/errors.js'
import { insertCases } from './insert-cases.js'
import { leaseCases } from './lease-cases.js'
import { type BackendUnderTest, type ConformanceCase, QueueUnderTest } from './queue-under-test.js'
import { resultCases } from './result-cases.js'
import { taskQueueCases } from './task-queue-cases.js'
import { uploadCases } from './upload-cases.js'
import { verbCases } from './verb-cases.js'
import { workerCases } from './worker-cases.js'
import { workerLeaseCases } from './worker-lease-cases.js'

export { type Clock, ManualClock } from '../time/clock.js'
export type { BackendUnderTest } from './queue-under-test.js'

const cases: readonly ConformanceCase[] = [
  ...insertCases,
  ...leaseCases,
  ...verbCases,
  ...uploadCases,
  ...resultCases,
  ...taskQueueCases,
  ...workerCases,
  ...workerLeaseCases,
]

/** Number of concurrent cases, each on a queue of its own: most of their time is waiting for leases to end. */
const concurrency = 8

/** A case that takes longer than this, in milliseconds, waits for something that does not come. */
const timeoutMs = 120_000

/**
 * Registers the suite with `node:test`: one test, in which each case is a test with a queue of its own. The suite reads
 * the backend's `capabilities` and reports in diagnostics which cases it leaves out for that reason.
 *
 * @returns resolves when the suite has run; need not be awaited
 */
export function testBackend(backend: BackendUnderTest): Promise<void> {
  if (typeof backend?.name !== 'string') throw argumentError('name', 'the name of the backend', backend?.name)
  if (typeof backend.open !== 'function') throw argumentError('open', 'a function that opens a queue', backend.open)
  return test(`${backend.name} is a backend`, { concurrency }, async t => {
    const probe = await newQueue(backend)
    const opened = await probe.open()
    const running = cases.flatMap(({ name, leftOut, run }) => {
      const reason = leftOut?.(opened)
      if (reason !== undefined) {
        t.diagnostic(`left out: ${name} (${reason})`)
        return []
      }
      return t.test(name, { timeout: timeoutMs }, async () => {
        const queue = await newQueue(backend)
        await run(queue)
        await queue.end()
      })
    })
    await Promise.all(running)
    await probe.end()
  })
}

async function newQueue(backend: BackendUnderTest): Promise<QueueUnderTest> {
  const queue = `ptq-test-${randomUUID()}`
  const first: Backend = await backend.open(queue)
  return new QueueUnderTest(backend, queue, first)
}
