import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { LeaseLostError } from 'ptq'
import type { Backend } from '#ptq/backend/backend.js'
import type { Failure, Lease, Message } from '#ptq/backend/messages.js'

/** A message with an envelope as Python writes it. */
export function message(root: string, id: string = randomUUID()): Message {
  const body = `{"payload": [["tasks", "noop"], [1], {}, -1], "queueName": "${root}", "id": "${id}"}`
  return { id, body }
}

export function messages(root: string, count: number): Message[] {
  return Array.from({ length: count }, () => message(root))
}

/** Inserts, expecting no failure. */
export async function insert(queue: Backend, count: number, delaySeconds = 0): Promise<Message[]> {
  const inserted = messages(queue.queueName, count)
  assert.deepEqual(await queue.insert(inserted, { delaySeconds }), [])
  return inserted
}

/** Leases what is free now. */
export function leaseNow(queue: Backend, max = 1, seconds = 60): Promise<Lease[]> {
  return queue.lease({ seconds, max, waitSeconds: 0 })
}

/** Leases the one task that has to be free. */
export async function leaseOne(queue: Backend, seconds = 60): Promise<Lease> {
  const [lease] = await leaseNow(queue, 1, seconds)
  assert.ok(lease, 'expected a free task')
  return lease
}

/** Asserts that every verb of the former holder reports a lost lease and changes nothing. */
export async function assertLost(queue: Backend, stale: Lease): Promise<void> {
  for (const failures of [
    await queue.renew([stale], 60),
    await queue.release([stale], { delaySeconds: 0 }),
    await queue.release([stale], { delaySeconds: 5, failure: failure(1) }),
    await queue.delete([stale], { tally: true }),
  ]) {
    assert.equal(failures.length, 1)
    assert.ok(failures[0]?.error instanceof LeaseLostError, String(failures[0]?.error))
    assert.equal(failures[0].error.id, stale.id)
  }
  await assert.rejects(async () => queue.quarantine?.(stale, 'no task'), LeaseLostError)
}

/** The sorted names in a folder of the queue; empty if there is no such folder. */
export function namesIn(root: string, folder: string): string[] {
  try {
    return readdirSync(join(root, folder)).sort()
  } catch {
    return []
  }
}

export function failure(attempt: number): Failure {
  return { attempt, reason: 'Error: broken', host: 'here', pid: 1, failedAtMs: 1_700_000_000_000, durationSeconds: 0.5 }
}
