/** Queues and messages for the tests of the SQS backend. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { ChangeMessageVisibilityBatchCommand, type ReceiveMessageResult, SQSClient } from '@aws-sdk/client-sqs'
import { TaskQueue } from 'ptq'
import type { Backend } from '#ptq/backend/backend.js'
import { messageWriter } from '#ptq/backend/envelope.js'
import type { Lease, Message } from '#ptq/backend/messages.js'
import { opener, type SqsOptions } from '#ptq/backends/sqs/index.js'
import type { OnLost } from './fault-proxy.js'

/** Settings that every client of a test needs; the servers accept any key. */
export const ACCESS = {
  region: 'us-east-1',
  credentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'test-secret' },
} as const

/** A new queue for a test, on a server at `endpoint`. */
export function openQueue(endpoint: string, options: SqsOptions & { fifo?: boolean } = {}): Promise<Backend> {
  const { fifo = false, ...rest } = options
  const name = `test-${randomUUID()}${fifo ? '.fifo' : ''}`
  return opener.open(
    { protocol: 'sqs', path: name },
    { ...ACCESS, endpoint, createIfMissing: true, emptyWindowSeconds: 0, ...rest },
  )
}

/** A new TaskQueue for a test, on a server at `endpoint`; created at its first use. */
export function newTaskQueue(endpoint: string, options: SqsOptions = {}): TaskQueue {
  return new TaskQueue(`sqs://test-${randomUUID()}`, {
    ...ACCESS,
    endpoint,
    createIfMissing: true,
    emptyWindowSeconds: 0,
    ...options,
  })
}

/** Messages with an envelope each, as the core writes them. */
export function makeMessages(count: number, pad = ''): Message[] {
  const write = messageWriter('test')
  return Array.from({ length: count }, (_, n) => {
    const id = randomUUID()
    return { id, body: write(JSON.stringify({ class: 'PrintTask', txt: `${n}${pad}` }), id) }
  })
}

/** Inserts and asserts that all were stored. */
export async function insertAll(backend: Backend, messages: readonly Message[], delaySeconds = 0): Promise<void> {
  for (let start = 0; start < messages.length; start += 10) {
    assert.deepEqual(await backend.insert(messages.slice(start, start + 10), { delaySeconds }), [])
  }
}

/** Leases and deletes until nothing comes; resolves with the bodies in order of arrival. */
export async function drain(backend: Backend, waitSeconds = 0): Promise<string[]> {
  const bodies: string[] = []
  for (;;) {
    const leases = await backend.lease({ seconds: 30, max: 10, waitSeconds })
    if (leases.length === 0) return bodies
    bodies.push(...leases.map(lease => lease.body))
    assert.deepEqual(await backend.delete(leases, { tally: false }), [])
  }
}

/** Ends leases on a server as the passing of time would, so that no test has to wait for it. */
export async function endLeases(endpoint: string, QueueUrl: unknown, handles: readonly unknown[]): Promise<void> {
  const client = new SQSClient({ ...ACCESS, endpoint })
  const Entries = handles.map((handle, n) => ({ Id: String(n), ReceiptHandle: String(handle), VisibilityTimeout: 0 }))
  const reply = await client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: String(QueueUrl), Entries }))
  client.destroy()
  assert.equal(reply.Successful?.length, handles.length)
}

/** For the lost response of a receive: ends its leases, which no client knows. */
export function endingLeases(endpoint: string): OnLost {
  return async ({ QueueUrl }, reply) => {
    const { Messages = [] }: ReceiveMessageResult = JSON.parse(reply)
    const handles = Messages.map(({ ReceiptHandle }) => ReceiptHandle)
    await endLeases(endpoint, QueueUrl, handles)
  }
}

/** The first of leases that has to be there. */
export function only(leases: readonly Lease[]): Lease {
  const [lease] = leases
  assert.ok(lease !== undefined && leases.length === 1, `Expected one lease, got ${leases.length}`)
  return lease
}

/** Bodies in an order that can be compared. */
export function sorted(items: readonly (string | Message)[]): string[] {
  return items.map(item => (typeof item === 'string' ? item : item.body)).sort()
}

/** A promise and its `resolve`. */
export function deferred(): { promise: Promise<void>; resolve: () => void } {
  let settle: (() => void) | undefined
  const promise = new Promise<void>(resolve => {
    settle = resolve
  })
  return { promise, resolve: () => settle?.() }
}
