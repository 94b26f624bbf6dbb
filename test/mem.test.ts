import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock, testBackend } from 'ptq/testing'
import { opener } from '#ptq/backends/mem/index.js'

const clocks = new Map<string, ManualClock>()

testBackend({
  name: 'mem with a clock that tests set',
  open(queue) {
    const clock = clocks.get(queue) ?? new ManualClock(1_700_000_000_000)
    clocks.set(queue, clock)
    return opener.open({ protocol: 'mem', path: queue }, { clock })
  },
  advance: (queue, seconds) => clocks.get(queue)?.advance(seconds),
})

testBackend({
  name: 'mem with the clock of the machine',
  open: queue => opener.open({ protocol: 'mem', path: queue }, {}),
})

test('an expired lease of a task that nobody leased again can be renewed, and stays the only lease', async () => {
  const clock = new ManualClock()
  const mem = await opener.open({ protocol: 'mem', path: 'renewed late' }, { clock })
  await mem.insert([{ id: 'a', body: '' }], { delaySeconds: 0 })
  const leases = await mem.lease({ seconds: 10, max: 1, waitSeconds: 0 })
  clock.advance(10)
  assert.equal((await mem.counts()).leased, 0)
  assert.deepEqual(await mem.renew(leases, 10), [])
  assert.deepEqual(await mem.lease({ seconds: 10, max: 1, waitSeconds: 0 }), [])
  assert.deepEqual(await mem.delete(leases, { tally: true }), [])
  assert.equal((await mem.counts()).completed, 1)
  await mem.close()
})

test('a purged queue that all users closed is forgotten; any other is kept', async () => {
  const url = { protocol: 'mem', path: 'kept' }
  const message = { id: 'a', body: '' }
  const first = await opener.open(url, {})
  const second = await opener.open(url, {})
  await first.insert([message], { delaySeconds: 0 })
  await first.close()
  await second.close()
  const third = await opener.open(url, {})
  assert.equal((await third.counts()).enqueued, 1)
  await assert.rejects(
    opener.open(url, { clock: new ManualClock() }),
    /Expected `clock` to be the one that mem:\/\/kept/,
  )
  await third.purge({ native: false })
  await third.close()
  const clock = new ManualClock()
  await (await opener.open(url, { clock })).close()
})
