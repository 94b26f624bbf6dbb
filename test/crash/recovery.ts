/** Invariants of a queue after any fault. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Backend } from '#ptq/backend/backend.js'
import { insert, leaseNow, namesIn } from '../fq/messages.js'
import { NO_WORK } from './no-work.js'
import type { Fixture, Scenario, Span } from './scenarios.js'

/** Longer than any lease or delay, and than the age at which leftovers of dead processes are removed. */
const LONG_SECONDS = 7 * 3600

function within(what: string, value: number, [least, most]: Span): void {
  assert.ok(value >= least && value <= most, `${what} is ${value}, expected ${least} to ${most}`)
}

/** Every message that is listed is whole and known; resolves with their ids. */
async function listed(queue: Backend, fixture: Fixture): Promise<string[]> {
  const bodies = new Map([...fixture.before, ...fixture.during].map(({ id, body }) => [id, body]))
  const ids: string[] = []
  for await (const { id, body } of queue.list?.() ?? []) {
    assert.equal(body, bodies.get(id), `the text of ${id}`)
    ids.push(id)
  }
  assert.equal(new Set(ids).size, ids.length, 'a message is in the queue once')
  return ids
}

/**
 * Nothing is lost, nothing half-written is seen, the counts are what they may be, every message can be run to its end, and
 * what is left over is removed.
 *
 * @param queue the queue as opened by a process started afterwards
 */
export async function checkRecovery(queue: Backend, scenario: Scenario, fixture: Fixture): Promise<void> {
  // A process that died while it created the queue may have left none: the next insert creates it.
  if (!(await queue.exists?.())) {
    assert.deepEqual(fixture.before, [])
  } else {
    const ids = new Set(await listed(queue, fixture))
    for (const { id } of scenario.mustStay(fixture)) assert.ok(ids.has(id), `${id} is lost`)
    const { inserted, completed } = await queue.counts()
    within('inserted', inserted, scenario.inserted ?? [0, 0])
    within('completed', completed, scenario.completed ?? [0, 0])

    fixture.pass(LONG_SECONDS)
    const leases = await leaseNow(queue, 100)
    assert.deepEqual(leases.map(({ id }) => id).sort(), [...ids].sort(), 'every message can be leased again')
    const isBefore = new Set(fixture.before.map(({ id }) => id))
    for (const { id, attempt } of leases) {
      within(`the attempt of ${id}`, attempt, isBefore.has(id) ? (scenario.attempts ?? [1, 1]) : [1, 1])
    }
    assert.deepEqual(await queue.delete(leases, { tally: true }), [])
    assert.equal((await queue.counts()).completed, completed + leases.length)
  }
  await queue.reportWorker?.('another', { ...NO_WORK, writtenAtMs: 1 })
  await queue.reportWorker?.('another', undefined)
  await queue.addInserted?.(1)
  const [last] = await insert(queue, 1)
  assert.deepEqual(
    (await leaseNow(queue, 2)).map(({ id }) => id),
    [last?.id],
  )
  await queue.purge({ native: false })
  requireClean(fixture.root)
}

/** Every folder of the queue is empty, but for the lock of the count, which is free. */
export function requireClean(root: string): void {
  assert.deepEqual(namesIn(root, 'insertions.lock'), ['free.json'])
  const folders = readdirSync(root, { withFileTypes: true }).filter(entry => entry.isDirectory())
  for (const { name } of folders) {
    if (name !== 'insertions.lock') assert.deepEqual(readdirSync(join(root, name)), [], `${name} is empty`)
  }
}
