import assert from 'node:assert/strict'
import { cpSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { nameOf, parseName } from '#ptq/backends/fq/names.js'
import { inFolder, inQueue, openQueue } from './folder.js'
import { insert, leaseNow, leaseOne, message, namesIn } from './messages.js'
import { settableClock } from './test-files.js'

const fixtures = join(import.meta.dirname, '../../../test/fixtures/python-queue')
// A minute after Python wrote them.
const FIXTURE_SECONDS = 1_795_450_670

test('only names of tasks are parsed', () => {
  const id = '0a1b2c3d-0000-4000-8000-00000000000f'
  assert.deepEqual(parseName(`0--${id}.json`), { name: `0--${id}.json`, id, available: 0 })
  assert.deepEqual(parseName(`1795450610--${id}.json`)?.available, 1795450610)
  assert.equal(nameOf(1795450610, id), `1795450610--${id}.json`)
  const foreign = [
    '.DS_Store',
    '.nfs0001',
    `0.5--${id}.json`,
    `-1--${id}.json`,
    `0--${id}`,
    `0--${id.toUpperCase()}.json`,
  ]
  for (const name of [...foreign, `0-${id}.json`, `0--${id}.json.swp`, `9999999999999999--${id}.json`, '']) {
    assert.equal(parseName(name), undefined, name)
  }
})

test('an insert writes the body byte for byte under the name 0--<id>.json, and nothing else', () =>
  inQueue(async (queue, root) => {
    const odd = { ...message(root), body: '{"payload": "č🎉 NaN \u0000 \\n", "n": 18446744073709551615}' }
    assert.deepEqual(await queue.insert([odd], { delaySeconds: 0 }), [])
    assert.deepEqual(namesIn(root, 'queue'), [`0--${odd.id}.json`])
    assert.deepEqual(readFileSync(join(root, 'queue', `0--${odd.id}.json`)), Buffer.from(odd.body))
    for (const folder of ['movement', 'staging', 'failures']) assert.deepEqual(namesIn(root, folder), [])
    assert.equal((await leaseOne(queue)).body, odd.body)
  }))

test('a lease ends at the time in the name, and a delete leaves nothing behind', () => {
  const { clock, options } = settableClock()
  return inQueue(async (queue, root) => {
    const [{ id } = { id: '' }] = await insert(queue, 1)
    const lease = await leaseOne(queue, 60)
    // The queue's clock has gone on by a little since it was read, and whole seconds are rounded up.
    assert.deepEqual(namesIn(root, 'queue'), [`${clock.seconds + 61}--${id}.json`])
    assert.deepEqual(await queue.renew([lease], 600), [])
    assert.deepEqual(namesIn(root, 'queue'), [`${clock.seconds + 601}--${id}.json`])
    assert.deepEqual(await queue.delete([lease], { tally: true }), [])
    for (const folder of ['queue', 'movement', 'staging', 'failures']) assert.deepEqual(namesIn(root, folder), [])
  }, options)
})

test('the counters are a decimal number and a file of zero bytes', () =>
  inQueue(async (queue, root) => {
    await insert(queue, 3)
    await queue.addInserted?.(3)
    await queue.addInserted?.(0)
    assert.equal(readFileSync(join(root, 'insertions'), 'utf8'), '3')
    assert.deepEqual(await queue.delete(await leaseNow(queue, 2), { tally: true }), [])
    assert.deepEqual(await queue.delete(await leaseNow(queue, 1), { tally: false }), [])
    assert.deepEqual(readFileSync(join(root, 'completions')), Buffer.alloc(2))
    await queue.rezero?.()
    assert.equal(readFileSync(join(root, 'insertions'), 'utf8'), '0')
    assert.equal(statSync(join(root, 'completions')).size, 0)
  }))

test('with an insertions file that holds no number counts are NaN, adding throws, and rezero repairs it', () =>
  inQueue(async (queue, root) => {
    await insert(queue, 1)
    writeFileSync(join(root, 'insertions'), 'many')
    assert.equal((await queue.counts()).inserted, Number.NaN)
    await assert.rejects(async () => queue.addInserted?.(1), /Expected a number in .*insertions/)
    await queue.rezero?.()
    await queue.addInserted?.(2)
    writeFileSync(join(root, 'insertions'), '2\n')
    assert.equal((await queue.counts()).inserted, 2)
  }))

test('a queue that Python wrote is counted, listed, leased and deleted completely', () =>
  inFolder(async folder => {
    const root = join(folder, 'python-queue')
    cpSync(fixtures, root, { recursive: true })
    const { options, clock } = settableClock(FIXTURE_SECONDS)
    await using opened = await openQueue(root, options)
    const { queue } = opened

    const counts = await queue.counts()
    const expected = { enqueued: 8, leased: 2, delayed: 1, inserted: 8, completed: 2, quarantined: 0, foreign: 0 }
    assert.deepEqual(counts, expected)
    assert.ok(!existsSync(join(root, 'staging')), 'counting made a folder')

    const bodies = new Map<string, string>()
    for (const name of namesIn(root, 'queue')) {
      bodies.set(name.slice(-41, -5), readFileSync(join(root, 'queue', name), 'utf8'))
    }
    const states = { ready: 0, leased: 0, delayed: 0 }
    for await (const listed of queue.list?.() ?? []) {
      states[listed.state]++
      assert.equal(listed.body, bodies.get(listed.id))
    }
    assert.deepEqual(states, { ready: 5, leased: 2, delayed: 1 })

    const leases = await leaseNow(queue, 100)
    assert.equal(leases.length, 5)
    for (const lease of leases) assert.equal(lease.body, bodies.get(lease.id))
    // Python wrote a line at its lease and one at its cancel, which ended no attempt.
    assert.equal(leases.find(({ id }) => id.startsWith('41dd'))?.attempt, 1)
    assert.deepEqual(await queue.delete(leases, { tally: true }), [])

    assert.equal(await queue.releaseAll?.(), 2)
    const released = await leaseNow(queue, 100)
    assert.equal(released.length, 2)
    assert.deepEqual(await queue.delete(released, { tally: true }), [])
    clock.seconds = 2_795_450_610
    const delayed = await leaseOne(queue)
    assert.equal(delayed.attempt, 1)
    assert.deepEqual(await queue.delete([delayed], { tally: true }), [])

    assert.deepEqual(namesIn(root, 'queue'), [])
    assert.deepEqual(namesIn(root, 'movement'), [])
    assert.equal((await queue.counts()).completed, 10)
  }))

test('purge removes tasks and records, sets the counters to 0 and keeps foreign files', () =>
  inQueue(async (queue, root) => {
    await insert(queue, 3)
    await insert(queue, 2, 60)
    await queue.addInserted?.(5)
    await queue.delete([await leaseOne(queue)], { tally: true })
    writeFileSync(join(root, 'queue', '.DS_Store'), '')
    await queue.purge({ native: false })
    assert.deepEqual(namesIn(root, 'queue'), ['.DS_Store'])
    assert.deepEqual(namesIn(root, 'movement'), [])
    const { inserted, completed, enqueued, foreign } = await queue.counts()
    assert.deepEqual({ inserted, completed, enqueued, foreign }, { inserted: 0, completed: 0, enqueued: 0, foreign: 1 })
  }))
