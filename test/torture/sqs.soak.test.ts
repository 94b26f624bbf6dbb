import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { Leases } from './bad-server-leases.js'
import { sqsFixture } from './fixtures.js'
import { shortTorture } from './short-torture.js'

test('half a minute of kills and faults on SQS loses nothing, and each duplicate run is explained', t =>
  shortTorture(t, (folder, seed) => sqsFixture(folder, join(folder, 'ledger'), seed)))

test('a delete after the end of its lease is reported, one in time is not', () => {
  const late: string[] = []
  const leases = new Leases(key => late.push(key))
  const messageOf = (name: string) => ({
    ReceiptHandle: name,
    Body: `{"payload":[["tasks","f"],["n-inserted1-${name}."]]}`,
  })
  const entryOf = (name: string, VisibilityTimeout = 0) => ({ Id: '0', ReceiptHandle: name, VisibilityTimeout })
  leases.received(600, { Messages: ['1', '2', '3'].map(messageOf) })
  leases.received(0, { Messages: [messageOf('4'), messageOf('5')] })
  leases.changed([entryOf('2', 0), entryOf('5', 600)])
  leases.deleted(['1', '2', '4', '5', 'unknown'].map(name => entryOf(name)))
  assert.deepEqual(late, ['n-inserted1-2.', 'n-inserted1-4.'])
  // Deleted again: it was reported before.
  leases.deleted([entryOf('4')])
  assert.equal(late.length, 2)
})
