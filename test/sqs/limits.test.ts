/** Limits of SQS that a queue reaches in use: 12 hours of a lease, and the size of a batch on other servers. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, test } from 'node:test'
import { MessageRefusedError } from 'ptq'
import type { Backend } from '#ptq/backend/backend.js'
import { opener } from '#ptq/backends/sqs/index.js'
import { shiftClocks } from '../time/shifted-clock.js'
import { type Fault, FaultProxy, type SeenRequest } from './fault-proxy.js'
import { ACCESS, drain, insertAll, makeMessages, only, sorted } from './queue.js'
import { type SqsServer, startServer } from './server.js'

const MOST_BYTES = 262_144

/** As servers do whose batches hold 256 KiB. */
function refuseLongBatches({ action, body }: SeenRequest): Fault | undefined {
  if (action !== 'SendMessageBatch') return undefined
  const bytes = (body.Entries ?? []).reduce((sum, entry) => sum + String(Reflect.get(entry, 'MessageBody')).length, 0)
  if (bytes <= MOST_BYTES) return undefined
  const message = `Batch requests cannot be longer than ${MOST_BYTES} bytes. You have sent ${bytes} bytes.`
  return { kind: 'status', status: 400, code: 'BatchRequestTooLong', message }
}

describe('limits of SQS', () => {
  let server: SqsServer
  let proxy: FaultProxy
  const open: Backend[] = []
  before(async () => {
    server = await startServer('fauxqs')
    proxy = await FaultProxy.start(server.endpoint, { choose: refuseLongBatches })
  })
  afterEach(async () => {
    for (const backend of open.splice(0)) await backend.close()
  })
  after(async () => {
    await proxy.close()
    await server.close()
  })

  async function newQueue(path: string): Promise<Backend> {
    const options = { ...ACCESS, endpoint: proxy.endpoint, createIfMissing: true, emptyWindowSeconds: 0 }
    const backend = await opener.open({ protocol: 'sqs', path }, options)
    open.push(backend)
    return backend
  }

  for (const kind of ['', '.fifo']) {
    test(`tasks too long together for a server are sent in smaller batches; one too long alone is refused alone (test${kind})`, async () => {
      const backend = await newQueue(`test-${randomUUID()}${kind}`)
      const messages = makeMessages(7, 'x'.repeat(100_000))
      const [long] = makeMessages(1, 'x'.repeat(MOST_BYTES))
      assert.ok(long)
      const failures = await backend.insert([...messages.slice(0, 3), long, ...messages.slice(3)], { delaySeconds: 0 })
      assert.deepEqual(
        failures.map(({ index, error }) => [index, error instanceof MessageRefusedError]),
        [[3, true]],
      )
      assert.match(failures[0]?.error.message ?? '', /cannot be longer than 262144 bytes/)
      assert.deepEqual(sorted(await drain(backend)), sorted(messages))
    })
  }

  test('a lease is renewed for up to 12 hours and ends before SQS ends it; the error says why', async () => {
    const backend = await newQueue(`test-${randomUUID()}`)
    await insertAll(backend, makeMessages(1))
    const lease = only(await backend.lease({ seconds: 43_100, max: 1, waitSeconds: 0 }))
    shiftClocks({ clockShift: 'sleep', seconds: 43_050 })
    proxy.requests.length = 0
    assert.deepEqual(await backend.renew([lease], 600), [])
    const [renewal] = proxy.requests
    const granted = Number(Reflect.get(renewal?.body.Entries?.[0] ?? {}, 'VisibilityTimeout'))
    assert.ok(granted > 50 && granted < 150, `${granted} s`)
    shiftClocks({ clockShift: 'sleep', seconds: 149.2 })
    proxy.requests.length = 0
    const [failure] = await backend.delete([lease], { tally: false })
    assert.equal(failure?.error.name, 'LeaseLostError')
    assert.match(failure?.error.message ?? '', /SQS ends each lease 12 hours after .* cut the task into shorter ones/)
    assert.deepEqual(proxy.requests, [])
  })

  test('a renewal in the last seconds of the 12 hours does not give the task to another worker', async () => {
    const path = `test-${randomUUID()}`
    const [backend, other] = [await newQueue(path), await newQueue(path)]
    await insertAll(backend, makeMessages(1))
    const lease = only(await backend.lease({ seconds: 43_200, max: 1, waitSeconds: 0 }))
    proxy.requests.length = 0
    shiftClocks({ clockShift: 'sleep', seconds: 43_195 })
    const [first] = await backend.renew([lease], 600)
    assert.equal(first, undefined)
    assert.deepEqual(
      proxy.requests.filter(({ action }) => action === 'ChangeMessageVisibilityBatch'),
      [],
    )
    assert.deepEqual(await other.lease({ seconds: 60, max: 1, waitSeconds: 0 }), [])
    assert.deepEqual(await backend.delete([lease], { tally: false }), [])
  })

  test("a missing queue gives its error after the SDK's attempts, also on a host whose clock is hours off", async () => {
    shiftClocks({ clockShift: 'date', seconds: 36_000 })
    proxy.requests.length = 0
    const options = { ...ACCESS, endpoint: proxy.endpoint }
    await assert.rejects(opener.open({ protocol: 'sqs', path: `test-${randomUUID()}` }, options), /No queue `test-/)
    assert.equal(proxy.count('GetQueueUrl'), 3)
  })

  test('a request whose signature was refused because of the clock is signed again with the right date', async () => {
    shiftClocks({ clockShift: 'date', seconds: 36_000 })
    const backend = await newQueue(`test-${randomUUID()}`)
    const times = 4
    proxy.rules.push({ action: 'SendMessageBatch', times, kind: 'status', status: 403, code: 'SignatureDoesNotMatch' })
    await insertAll(backend, makeMessages(1))
    assert.equal((await drain(backend)).length, 1)
  })
})
