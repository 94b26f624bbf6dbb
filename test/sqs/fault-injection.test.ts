import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { after, afterEach, before, describe, test } from 'node:test'
import type { Backend } from '#ptq/backend/backend.js'
import type { SqsOptions } from '#ptq/backends/sqs/index.js'
import { LeaseLostError } from '#ptq/errors/errors.js'
import { type Fault, FaultProxy } from './fault-proxy.js'
import { deferred, drain, endingLeases, insertAll, makeMessages, only, openQueue, sorted } from './queue.js'
import { type SqsServer, startServer } from './server.js'

// One attempt of the SDK, so that every retry is ours. The first test includes those of the SDK.
const ONE_ATTEMPT: SqsOptions = { maxAttempts: 1 }

describe('the SQS backend behind a bad network', () => {
  let server: SqsServer
  let proxy: FaultProxy
  const open: Backend[] = []

  before(async () => {
    server = await startServer('fauxqs')
    proxy = await FaultProxy.start(server.endpoint)
  })
  afterEach(async () => {
    proxy.rules.length = 0
    for (const backend of open.splice(0)) await backend.close()
  })
  after(async () => {
    await proxy.close()
    await server.close()
  })

  async function openBackend(options: SqsOptions = {}): Promise<Backend> {
    const backend = await openQueue(proxy.endpoint, options)
    open.push(backend)
    proxy.requests.length = 0
    return backend
  }

  function inject(action: string, times: number, fault: Fault): void {
    proxy.rules.push({ action, times, ...fault })
  }

  const NOTHING_STORED: [string, Fault][] = [
    ['500', { kind: 'status', status: 500, code: 'InternalFailure' }],
    ['503', { kind: 'status', status: 503, code: 'ServiceUnavailable' }],
    ['throttling as 400', { kind: 'status', status: 400, code: 'RequestThrottled' }],
    ['throttling as 403', { kind: 'status', status: 403, code: 'ThrottlingException' }],
    ['too many in flight', { kind: 'status', status: 403, code: 'OverLimit' }],
    ['KMS throttling', { kind: 'status', status: 400, code: 'KmsThrottled' }],
    ['a reset connection', { kind: 'reset' }],
  ]

  test('retries faults for longer than the SDK does', async () => {
    const backend = await openBackend()
    const messages = makeMessages(10)
    inject('SendMessageBatch', 7, { kind: 'status', status: 500, code: 'InternalFailure' })
    assert.deepEqual(await backend.insert(messages, { delaySeconds: 0 }), [])
    assert.equal(proxy.count('SendMessageBatch'), 8)
    assert.deepEqual(sorted(await drain(backend)), sorted(messages))
  })

  for (const [name, fault] of NOTHING_STORED) {
    test(`${name}: no message is lost or duplicated`, async () => {
      const backend = await openBackend(ONE_ATTEMPT)
      const messages = makeMessages(10)
      for (const action of ['SendMessageBatch', 'ReceiveMessage', 'DeleteMessageBatch', 'GetQueueAttributes']) {
        inject(action, 2, fault)
      }
      assert.deepEqual(await backend.insert(messages, { delaySeconds: 0 }), [])
      assert.equal((await backend.counts()).enqueued, 10)
      assert.deepEqual(sorted(await drain(backend)), sorted(messages))
      assert.equal((await backend.counts()).enqueued, 0)
      assert.equal(proxy.count('SendMessageBatch'), 3)
      assert.equal(proxy.count('DeleteMessageBatch'), 3)
    })
  }

  for (const fault of [{ kind: 'lost-reply' }, { kind: 'cut-reply' }] as const) {
    test(`${fault.kind} of an insert: stored twice in a standard queue, once in a FIFO queue`, async () => {
      const messages = makeMessages(10)
      const standard = await openBackend(ONE_ATTEMPT)
      inject('SendMessageBatch', 1, fault)
      assert.deepEqual(await standard.insert(messages, { delaySeconds: 0 }), [])
      assert.deepEqual(sorted(await drain(standard)), sorted([...messages, ...messages]))
      const fifo = await openBackend({ ...ONE_ATTEMPT, fifo: true })
      inject('SendMessageBatch', 1, fault)
      assert.deepEqual(await fifo.insert(messages, { delaySeconds: 0 }), [])
      assert.deepEqual(sorted(await drain(fifo)), sorted(messages))
    })
  }

  test('every message runs when replies to receives, renewals and deletes are lost', async () => {
    const backend = await openBackend(ONE_ATTEMPT)
    const messages = makeMessages(10)
    await insertAll(backend, messages)
    // The first answer, with all ten, is lost: they come back when their leases are over.
    inject('ReceiveMessage', 1, { kind: 'lost-reply', onLost: endingLeases(server.endpoint) })
    inject('ChangeMessageVisibilityBatch', 1, { kind: 'lost-reply' })
    inject('DeleteMessageBatch', 1, { kind: 'lost-reply' })
    const leases = await backend.lease({ seconds: 600, max: 10, waitSeconds: 20 })
    assert.equal(leases.length, 10)
    assert.deepEqual([...new Set(leases.map(lease => lease.attempt))], [2])
    assert.deepEqual(await backend.renew(leases, 30), [])
    assert.deepEqual(await backend.delete(leases, { tally: true }), [])
    assert.equal((await backend.counts()).enqueued, 0)
  })

  test('sends entries that failed in SQS again, and only these', async () => {
    const backend = await openBackend(ONE_ATTEMPT)
    const messages = makeMessages(10)
    inject('SendMessageBatch', 1, { kind: 'partial', places: [0, 3, 9], code: 'InternalError', senderFault: false })
    inject('SendMessageBatch', 1, { kind: 'partial', places: [1], code: 'InternalError', senderFault: false })
    assert.deepEqual(await backend.insert(messages, { delaySeconds: 0 }), [])
    assert.deepEqual(
      proxy.requests.map(request => request.body.Entries?.map(entry => entry.Id).join()),
      ['0,1,2,3,4,5,6,7,8,9', '0,3,9', '3'],
    )
    inject('DeleteMessageBatch', 1, { kind: 'partial', places: [2, 4], code: 'InternalError', senderFault: false })
    assert.deepEqual(sorted(await drain(backend)), sorted(messages))
    assert.equal((await backend.counts()).enqueued, 0)
  })

  test('reports entries that the sender must change by index, and does not send them again', async () => {
    const backend = await openBackend(ONE_ATTEMPT)
    const messages = makeMessages(10)
    inject('SendMessageBatch', 1, { kind: 'partial', places: [2, 7], code: 'AccessDenied', senderFault: true })
    const failures = await backend.insert(messages, { delaySeconds: 0 })
    assert.deepEqual(failures.map(failure => failure.index).sort(), [2, 7])
    assert.match(failures[0]?.error.message ?? '', /SQS refused to insert a message .*AccessDenied: partial/)
    assert.equal(proxy.count('SendMessageBatch'), 1)
    assert.deepEqual(sorted(await drain(backend)), sorted(messages.filter((_, place) => place !== 2 && place !== 7)))
  })

  test('reports exactly what still fails when the time is used up', async () => {
    const backend = await openBackend({ ...ONE_ATTEMPT, retrySeconds: 0.2 })
    const messages = makeMessages(10)
    // Index 0 of each batch: the first message, again and again.
    inject('SendMessageBatch', 1_000, { kind: 'partial', places: [0], code: 'InternalError', senderFault: false })
    const failures = await backend.insert(messages, { delaySeconds: 0 })
    assert.deepEqual(
      failures.map(failure => failure.index),
      [0],
    )
    assert.deepEqual(sorted(await drain(backend)), sorted(messages.slice(1)))
  })

  test('rejects an insert of which no message was stored', async () => {
    const backend = await openBackend({ ...ONE_ATTEMPT, retrySeconds: 0.1 })
    inject('SendMessageBatch', 1_000, { kind: 'status', status: 503, code: 'ServiceUnavailable' })
    await assert.rejects(
      backend.insert(makeMessages(10), { delaySeconds: 0 }),
      /^Error: Can't insert into sqs:\/\/test-\S+ \(us-east-1, http:\/\/127\.0\.0\.1:\d+\): ServiceUnavailable \(HTTP 503\)/,
    )
    proxy.rules.length = 0
    assert.equal((await backend.counts()).enqueued, 0)
  })

  test('reports an expired handle as a lost lease, for each error code of SQS', async () => {
    const backend = await openBackend(ONE_ATTEMPT)
    await insertAll(backend, makeMessages(2))
    const leases = await backend.lease({ seconds: 30, max: 2, waitSeconds: 0 })
    for (const code of ['ReceiptHandleIsInvalid', 'AWS.SimpleQueueService.MessageNotInflight']) {
      inject('ChangeMessageVisibilityBatch', 1, { kind: 'partial', places: [0], code, senderFault: true })
      const [failure, ...others] = await backend.renew(leases.splice(0, 1), 60)
      assert.ok(failure?.error instanceof LeaseLostError)
      assert.deepEqual(others, [])
    }
  })

  test('gives up on a server that never answers after the time-out, and retries', async () => {
    const backend = await openBackend({ ...ONE_ATTEMPT, requestHandler: { socketTimeout: 1_000 } })
    const messages = makeMessages(10)
    for (const action of ['SendMessageBatch', 'ReceiveMessage', 'DeleteMessageBatch'])
      inject(action, 1, { kind: 'hang' })
    assert.deepEqual(await backend.insert(messages, { delaySeconds: 0 }), [])
    assert.deepEqual(sorted(await drain(backend)), sorted(messages))
    assert.equal(proxy.count('SendMessageBatch'), 2)
    inject('GetQueueAttributes', 1_000, { kind: 'hang' })
    const impatient = await openBackend({ ...ONE_ATTEMPT, requestHandler: { socketTimeout: 1_000 }, retrySeconds: 0.1 })
    await assert.rejects(
      impatient.counts(),
      /Can't count the tasks in sqs:\/\/.*: no answer \(.*timed out after 1000 ms/,
    )
  })

  test('ends a waiting receive on an abort', async () => {
    const backend = await openBackend()
    const abort = new AbortController()
    const leasing = backend.lease({ seconds: 30, max: 10, waitSeconds: 600, signal: abort.signal })
    await proxy.next('ReceiveMessage')
    abort.abort()
    assert.deepEqual(await leasing, [])
  })

  test('keeps the messages of a response that has begun to arrive at an abort', async () => {
    const backend = await openBackend()
    const messages = makeMessages(10)
    await insertAll(backend, messages)
    const abort = new AbortController()
    const begun = deferred()
    const resume = deferred()
    inject('ReceiveMessage', 1, { kind: 'halting-reply', begun: begun.resolve, resume: resume.promise })
    const leasing = backend.lease({ seconds: 30, max: 10, waitSeconds: 20, signal: abort.signal })
    await begun.promise
    // Node reports when a client has read the head of a response; the next one is that of the receive.
    const headRead = deferred()
    subscribe('http.client.response.finish', headRead.resolve)
    await headRead.promise
    unsubscribe('http.client.response.finish', headRead.resolve)
    await new Promise(resolve => setImmediate(resolve))
    abort.abort()
    resume.resolve()
    assert.deepEqual(sorted(await leasing), sorted(messages))
  })

  test('measures a lease from its request, and discards messages that arrive too late', async () => {
    const backend = await openBackend()
    await insertAll(backend, makeMessages(1))
    const begun = deferred()
    const resume = deferred()
    inject('ReceiveMessage', 1, { kind: 'halting-reply', begun: begun.resolve, resume: resume.promise })
    const leasing = backend.lease({ seconds: 1, max: 1, waitSeconds: 0 })
    await begun.promise
    const next = only(await backend.lease({ seconds: 30, max: 1, waitSeconds: 20 }))
    resume.resolve()
    const [failure] = await backend.delete(await leasing, { tally: true })
    assert.ok(failure?.error instanceof LeaseLostError)
    assert.deepEqual(await backend.delete([next], { tally: true }), [])
  })

  test('ends a lease call on an abort in a pause between retries', async () => {
    const backend = await openBackend(ONE_ATTEMPT)
    inject('ReceiveMessage', 1_000, { kind: 'status', status: 500, code: 'InternalFailure' })
    const abort = new AbortController()
    const leasing = backend.lease({ seconds: 30, max: 10, waitSeconds: 600, signal: abort.signal })
    for (let tries = 0; tries < 3; tries++) await proxy.next('ReceiveMessage')
    abort.abort()
    assert.deepEqual(await leasing, [])
  })

  test('returns what some receives of a lease call brought when another fails', async () => {
    const backend = await openBackend({ ...ONE_ATTEMPT, retrySeconds: 0 })
    await insertAll(backend, makeMessages(30))
    const first = await backend.lease({ seconds: 30, max: 10, waitSeconds: 0 })
    assert.equal(first.length, 10)
    const leasing = backend.lease({ seconds: 30, max: 20, waitSeconds: 0 })
    await proxy.next('ReceiveMessage')
    inject('ReceiveMessage', 1, { kind: 'status', status: 500, code: 'InternalFailure' })
    assert.equal((await leasing).length, 10)
    only(await backend.lease({ seconds: 30, max: 1, waitSeconds: 0 }))
  })

  test('uses one request to insert, one to lease and one to delete ten messages', async () => {
    const backend = await openBackend()
    await insertAll(backend, makeMessages(10))
    const leases = await backend.lease({ seconds: 30, max: 10, waitSeconds: 20 })
    await backend.delete(leases, { tally: true })
    assert.deepEqual(
      proxy.requests.map(request => request.action),
      ['SendMessageBatch', 'ReceiveMessage', 'DeleteMessageBatch'],
    )
  })
})
