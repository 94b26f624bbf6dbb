import assert from 'node:assert/strict'
import { appendFileSync, existsSync, rmSync, truncateSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { LeaseLostError } from 'ptq'
import type { Backend } from '#ptq/backend/backend.js'
import { inQueue } from './folder.js'
import { failure, insert, leaseNow, leaseOne, namesIn } from './messages.js'
import { PythonSide } from './python-side.js'
import { settableClock } from './test-files.js'

/** A queue that both sides have open, with one clock. */
function shared(work: (ours: Backend, python: PythonSide, root: string, clock: { seconds: number }) => Promise<void>) {
  const { clock, options } = settableClock()
  return inQueue(async (queue, root) => {
    await insert(queue, 0)
    await work(queue, new PythonSide(root, () => clock.seconds), root, clock)
  }, options)
}

/** Makes the tasks as old as they would be elsewhere when Python leases them: not some milliseconds. */
function age(root: string): void {
  for (const name of namesIn(root, 'queue')) utimesSync(join(root, 'queue', name), 1_700_000_000, 1_700_000_000)
}

function assertNothingLeft(root: string): void {
  for (const folder of ['queue', 'movement', 'failures', 'staging']) assert.deepEqual(namesIn(root, folder), [], folder)
}

test('Python leases, renews, cancels, releases, tallies and deletes what ptq inserted', () =>
  shared(async (ours, python, root, clock) => {
    const ids = (await insert(ours, 4)).map(({ id }) => id).sort()
    await ours.addInserted?.(4)
    age(root)
    assert.deepEqual([python.enqueued, python.inserted, python.leased], [4, 4, 0])
    const task = python.lease(60)
    assert.ok(task && ids.includes(task.id))
    assert.equal(task.queueName, root)
    assert.deepEqual(task.payload, [['tasks', 'noop'], [1], {}, -1])
    assert.equal((await ours.counts()).leased, 1)
    python.renew(task.id, 600)
    assert.equal((await ours.counts()).leased, 1)
    python.cancel(task.id)
    assert.equal(python.leased, 0)
    while (python.lease(60)) clock.seconds += 0
    assert.equal(python.leased, 4)
    clock.seconds += 2
    python.release()
    assert.equal((await ours.counts()).leased, 0)
    for (const id of ids) {
      assert.ok(python.lease(60))
      python.delete(id, { tally: true })
    }
    assert.deepEqual(await leaseNow(ours), [])
    assert.equal((await ours.counts()).completed, 4)
    assertNothingLeft(root)
  }))

test('ptq leases, renews, releases, fails and deletes what Python inserted', () =>
  shared(async (ours, python, root, clock) => {
    const id = python.insert([['tasks', 'noop'], [], {}, -1])
    const late = python.insert([['tasks', 'late'], [], {}, -1], 100)
    const { enqueued, inserted, delayed, leased } = await ours.counts()
    assert.deepEqual({ enqueued, inserted, delayed, leased }, { enqueued: 2, inserted: 2, delayed: 1, leased: 0 })
    for (let attempt = 1; attempt <= 3; attempt++) {
      const lease = await leaseOne(ours, 30)
      assert.deepEqual([lease.id, lease.attempt], [id, attempt])
      assert.deepEqual(await ours.renew([lease], 60), [])
      assert.equal(python.leased, 2)
      if (attempt < 3) assert.deepEqual(await ours.release([lease], { delaySeconds: 0, failure: failure(attempt) }), [])
      else assert.deepEqual(await ours.delete([lease], { tally: true }), [])
    }
    clock.seconds += 101
    const lease = await leaseOne(ours)
    assert.deepEqual([lease.id, lease.attempt], [late, 1])
    assert.deepEqual(await ours.delete([lease], { tally: true }), [])
    assert.equal(python.completed, 2)
    assertNothingLeft(root)
  }))

test('each side takes over expired leases of the other; late holders change nothing', () =>
  shared(async (ours, python, root, clock) => {
    await insert(ours, 1)
    const stale = await leaseOne(ours, 30)
    age(root)
    clock.seconds += 32
    const task = python.lease(30)
    assert.equal(task?.id, stale.id)
    const [lost] = await ours.delete([stale], { tally: true })
    assert.ok(lost?.error instanceof LeaseLostError)
    clock.seconds += 31
    const lease = await leaseOne(ours, 30)
    assert.equal(lease.attempt, 2)
    // A late Python holder removes the history, since it finds none of its names; the task stays leased by ptq.
    python.delete(stale.id, { tally: false })
    assert.deepEqual(await ours.delete([lease], { tally: true }), [])
    assertNothingLeft(root)
  }))

test('a task with a history that ptq releases is available to Python, which deletes it; its late holder changes nothing', () =>
  shared(async (ours, python, root, clock) => {
    const [sent] = await insert(ours, 1)
    age(root)
    assert.ok(python.lease(30))
    clock.seconds += 31
    const lease = await leaseOne(ours, 30)
    assert.equal(lease.attempt, 2)
    assert.deepEqual(await ours.release([lease], { delaySeconds: 0 }), [])
    assert.equal(python.leased, 0)
    assert.equal(python.lease(30)?.id, sent?.id)
    const [lost] = await ours.delete([lease], { tally: true })
    assert.ok(lost?.error instanceof LeaseLostError)
    python.renew(lease.id, 60)
    python.delete(lease.id, { tally: true })
    assert.equal((await ours.counts()).completed, 1)
    assertNothingLeft(root)
  }))

test('Python releases leases of ptq, purges its tasks, and deletes a task that failed under ptq', () =>
  shared(async (ours, python, root, clock) => {
    await insert(ours, 2)
    const [failed, held] = await leaseNow(ours, 2)
    assert.ok(failed && held)
    await ours.release([failed], { delaySeconds: 10, failure: failure(1) })
    clock.seconds += 20
    const task = python.lease(30)
    assert.equal(task?.id, failed.id)
    python.delete(failed.id, { tally: true })
    python.release()
    const [lost] = await ours.delete([held], { tally: true })
    assert.ok(lost?.error instanceof LeaseLostError)
    assert.equal((await leaseOne(ours)).id, held.id)
    python.purge()
    assert.equal((await ours.counts()).enqueued, 0)
    await ours.purge({ native: false })
    assertNothingLeft(root)
  }))

test('a Python inserter that overwrites or loses the history does no harm', () =>
  shared(async (ours, python, root) => {
    const id = python.insert(['x'])
    rmSync(join(root, 'movement', id))
    const lease = await leaseOne(ours)
    // Python's insert writes this file after the task is listed, so perhaps only now.
    appendFileSync(join(root, 'movement', id), `0--${id}.json\n`)
    assert.deepEqual(await ours.delete([lease], { tally: true }), [])
    assertNothingLeft(root)

    const other = python.insert(['y'])
    truncateSync(join(root, 'movement', other))
    assert.equal((await leaseOne(ours)).attempt, 1)
    assert.equal(await ours.releaseAll?.(), 1)
    assert.equal((await leaseOne(ours)).attempt, 1)
    assert.ok(existsSync(join(root, 'movement', other)))
  }))

test('renewals, cancels and releases by Python count no attempts; its expired leases do', () =>
  shared(async (ours, python, root, clock) => {
    const [sent] = await insert(ours, 1)
    const id = sent?.id ?? ''
    age(root)
    /** Python has just written the last line of the record. */
    const written = () => utimesSync(join(root, 'movement', id), clock.seconds, clock.seconds)
    const expected = async (attempt: number, deaths: number, what: string): Promise<void> => {
      const lease = await leaseOne(ours)
      assert.deepEqual({ attempt: lease.attempt, deaths: lease.deaths ?? 0 }, { attempt, deaths }, what)
      assert.deepEqual(await ours.release([lease], { delaySeconds: 0 }), [])
    }
    /** Holds a lease of a minute that is renewed at half of it, `renewals` times. */
    const hold = (renewals: number): void => {
      assert.ok(python.lease(60))
      written()
      for (let renewal = 0; renewal < renewals; renewal++) {
        clock.seconds += 30
        python.renew(id, 60)
        written()
      }
    }
    hold(6)
    clock.seconds += 62
    await expected(2, 1, 'one death after six renewals')
    hold(3)
    python.cancel(id)
    written()
    clock.seconds += 2
    await expected(2, 1, 'cancelled after renewals')
    hold(0)
    clock.seconds += 2
    python.release()
    written()
    await expected(2, 1, 'released')
    hold(2)
    clock.seconds += 62
    hold(4)
    clock.seconds += 62
    await expected(4, 3, 'two more deaths, the second by Python’s own next worker')
    await expected(4, 3, 'as it is left')
  }))
