/** No request about a lease is sent after its end, including retries by the SDK. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, test } from 'node:test'
import { SQSClient } from '@aws-sdk/client-sqs'
import type { Backend } from '#ptq/backend/backend.js'
import type { BatchFailure, Lease } from '#ptq/backend/messages.js'
import { opener, type SqsOptions } from '#ptq/backends/sqs/index.js'
import { shiftClocks } from '../time/shifted-clock.js'
import { FaultProxy } from './fault-proxy.js'
import { ACCESS, insertAll, makeMessages, only } from './queue.js'
import { type SqsServer, startServer } from './server.js'

const FAILURE = { attempt: 1, reason: 'Error: no', host: 'h', pid: 1, failedAtMs: 0, durationSeconds: 0 }

/** Each request about leases, as a backend sends it. */
const changes: [string, string, (queue: Backend, leases: readonly Lease[]) => Promise<readonly BatchFailure[]>][] = [
  ['a give-back', 'SendMessageBatch', (queue, leases) => queue.release(leases, { delaySeconds: 0 })],
  [
    'a failed attempt',
    'SendMessageBatch',
    (queue, leases) => queue.release(leases, { delaySeconds: 0, failure: FAILURE }),
  ],
  ['a delete', 'DeleteMessageBatch', (queue, leases) => queue.delete(leases, { tally: false })],
  ['a renewal', 'ChangeMessageVisibilityBatch', (queue, leases) => queue.renew(leases, 60)],
]

describe('after the end of a lease', () => {
  let server: SqsServer
  let proxy: FaultProxy
  let client: SQSClient
  const open: Backend[] = []
  before(async () => {
    server = await startServer('fauxqs')
    proxy = await FaultProxy.start(server.endpoint)
    client = new SQSClient({ ...ACCESS, endpoint: proxy.endpoint, cacheMiddleware: true })
  })
  afterEach(async () => {
    proxy.rules.length = 0
    for (const backend of open.splice(0)) await backend.close()
  })
  after(async () => {
    client.destroy()
    await proxy.close()
    await server.close()
  })

  async function newQueue(options: SqsOptions): Promise<Backend> {
    const own = { createIfMissing: true, emptyWindowSeconds: 0, ...options }
    const backend = await opener.open({ protocol: 'sqs', path: `test-${randomUUID()}` }, own)
    open.push(backend)
    return backend
  }

  const clients: [string, () => SqsOptions][] = [
    ['', () => ({ ...ACCESS, endpoint: proxy.endpoint })],
    [" by the caller's own client", () => ({ client })],
  ]
  for (const [what, action, change] of changes) {
    for (const [which, options] of clients) {
      test(`${what}${which} that SQS was too busy for is not sent again by the SDK; that of a longer lease is`, async () => {
        const backend = await newQueue(options())
        await insertAll(backend, makeMessages(2))
        const short = only(await backend.lease({ seconds: 21, max: 1, waitSeconds: 10 }))
        const long = only(await backend.lease({ seconds: 600, max: 1, waitSeconds: 10 }))
        proxy.rules.push({ action, times: 1, kind: 'status', status: 503, code: 'Unavailable' })
        proxy.requests.length = 0
        const slept = proxy.next(action).then(() => shiftClocks({ clockShift: 'sleep', seconds: 22 }))
        const failures = await change(backend, [short, long])
        await slept
        assert.deepEqual(
          failures.map(({ index, error }) => [index, error.name]),
          [[0, 'LeaseLostError']],
        )
        const sent = proxy.requests.filter(seen => seen.action === action).map(({ body }) => body.Entries?.length)
        assert.deepEqual(sent, [2, 1])
      })
    }
  }
})
