import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { getEventListeners } from 'node:events'
import { after, afterEach, before, describe, test } from 'node:test'
import { SQSClient } from '@aws-sdk/client-sqs'
import type { Backend } from '#ptq/backend/backend.js'
import { opener } from '#ptq/backends/sqs/index.js'
import { FaultProxy } from './fault-proxy.js'
import { ACCESS, insertAll, makeMessages, openQueue } from './queue.js'
import { type SqsServer, startServer } from './server.js'

describe('waits of the SQS backend', () => {
  let server: SqsServer
  let proxy: FaultProxy
  const warnings: string[] = []
  const onWarning = ({ name, message }: Error) => {
    if (name === 'MaxListenersExceededWarning') warnings.push(message)
  }
  const open: Backend[] = []
  before(async () => {
    process.on('warning', onWarning)
    server = await startServer('fauxqs')
    proxy = await FaultProxy.start(server.endpoint)
  })
  afterEach(async () => {
    proxy.rules.length = 0
    for (const backend of open.splice(0)) await backend.close()
    assert.deepEqual(warnings, [])
  })
  after(async () => {
    process.off('warning', onWarning)
    await proxy.close()
    await server.close()
  })

  test('ask a server that answers long polls at once only once a second', async () => {
    const backend = await openQueue(proxy.endpoint)
    open.push(backend)
    proxy.rules.push({ action: 'ReceiveMessage', times: 1_000_000, kind: 'status', status: 200, code: 'none' })
    proxy.requests.length = 0
    assert.deepEqual(await backend.lease({ seconds: 30, max: 1, waitSeconds: 1.5 }), [])
    assert.ok(proxy.count('ReceiveMessage') <= 3, `${proxy.count('ReceiveMessage')} receives`)
  })

  test('end on an abort in the pause after such an answer', async () => {
    const backend = await openQueue(proxy.endpoint)
    open.push(backend)
    proxy.rules.push({ action: 'ReceiveMessage', times: 1_000_000, kind: 'status', status: 200, code: 'none' })
    const stop = new AbortController()
    const asked = proxy.next('ReceiveMessage')
    const leasing = backend.lease({ seconds: 30, max: 1, waitSeconds: 20, signal: stop.signal })
    await asked
    stop.abort()
    assert.deepEqual(await leasing, [])
  })

  test('return what a non-waiting receive was given at an abort, and leave nothing leased', async () => {
    const backend = await openQueue(proxy.endpoint)
    open.push(backend)
    await insertAll(backend, makeMessages(3))
    const stop = new AbortController()
    const asked = proxy.next('ReceiveMessage')
    const leasing = backend.lease({ seconds: 600, max: 3, waitSeconds: 0, signal: stop.signal })
    await asked
    stop.abort()
    assert.equal((await leasing).length, 3)
  })

  test('add one listener for many receives of one signal, and remove it', async () => {
    const backend = await openQueue(proxy.endpoint, { concurrency: 100 })
    open.push(backend)
    const stop = new AbortController()
    const plan = { seconds: 30, max: 1, waitSeconds: 20, signal: stop.signal }
    const asked = proxy.next('ReceiveMessage')
    const leasing = Array.from({ length: 100 }, () => backend.lease(plan))
    await asked
    assert.equal(getEventListeners(stop.signal, 'abort').length, 1)
    stop.abort()
    assert.deepEqual((await Promise.all(leasing)).flat(), [])
    assert.equal(getEventListeners(stop.signal, 'abort').length, 0)
  })

  test('leak no listener for many retried requests of a client of the caller, and end on close', async () => {
    const client = new SQSClient({ ...ACCESS, endpoint: proxy.endpoint, maxAttempts: 1 })
    const options = { client, createIfMissing: true, retrySeconds: 1_000_000 }
    const backend = await opener.open({ protocol: 'sqs', path: `test-${randomUUID()}` }, options)
    await insertAll(backend, makeMessages(1))
    const fault = { kind: 'status', status: 503, code: 'Unavailable' } as const
    proxy.rules.push({ action: 'GetQueueAttributes', times: 1_000_000, ...fault })
    proxy.requests.length = 0
    const counting = Promise.allSettled(Array.from({ length: 50 }, () => backend.counts()))
    while (proxy.count('GetQueueAttributes') < 100) await proxy.next('GetQueueAttributes')
    await backend.close()
    for (const { status } of await counting) assert.equal(status, 'rejected')
    client.destroy()
  })
})
