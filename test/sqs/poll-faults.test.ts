import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { context, InsertError, partial, queueable, type TaskQueue } from 'ptq'
import type { SqsOptions } from '#ptq/backends/sqs/index.js'
import type { Fault } from './fault-proxy.js'
import { useProxiedServer } from './proxied-server.js'
import { endingLeases, endLeases } from './queue.js'

/** The number of runs of each task. */
const runs = new Map<number, number>()

const count = queueable(function count(n: number): void {
  runs.set(n, (runs.get(n) ?? 0) + 1)
})

let whileRunning: () => Promise<void> = async () => undefined

const takeLong = queueable(async function takeLong(n: number): Promise<void> {
  await whileRunning()
  count(n)
})

function* counts(total: number) {
  for (let n = 0; n < total; n++) yield partial(count, n)
}

/** 23 batches, the last of them not full. */
const TASKS = 225

/**
 * Requests that the server did not process: sent again, they are processed once. Each line is one test with its faults
 * in order.
 */
const NOTHING_DONE: [string, Fault[]][] = [
  [
    'errors of the server and reset connections',
    [
      { kind: 'status', status: 500, code: 'InternalFailure' },
      { kind: 'status', status: 503, code: 'ServiceUnavailable' },
      { kind: 'reset' },
    ],
  ],
  ['throttling', [{ kind: 'status', status: 400, code: 'RequestThrottled' }]],
  ['entries that fail', [{ kind: 'partial', places: [0, 4], code: 'InternalError', senderFault: false }]],
]

describe('a TaskQueue on SQS behind a bad network', () => {
  const sqs = useProxiedServer()
  afterEach(() => runs.clear())

  function newQueue(options: SqsOptions = {}): TaskQueue {
    return sqs.newQueue({ maxAttempts: 1, ...options })
  }

  function inject(action: string, times: number, fault: Fault): void {
    sqs.proxy.rules.push({ action, times, ...fault })
  }

  const timesRun = () => [...new Set(runs.values())].sort()
  // A wait of 0.01 s is a long poll of a second, the minimum of SQS.
  const SOON = { minBackoffSeconds: 0.01, maxBackoffSeconds: 0.01 }
  const drain = (tq: TaskQueue, leaseSeconds = 60) => tq.poll({ ...SOON, parallel: 0, leaseSeconds, untilEmpty: true })

  for (const [name, faults] of NOTHING_DONE) {
    test(`${name}: every task is inserted once, run once and counted once`, async () => {
      const tq = newQueue()
      for (const fault of faults) {
        for (const action of ['SendMessageBatch', 'DeleteMessageBatch']) inject(action, 1, fault)
        // The others have no entries that could fail.
        for (const action of ['ReceiveMessage', 'GetQueueAttributes']) {
          if (fault.kind !== 'partial') inject(action, 1, fault)
        }
      }
      assert.equal(await tq.insert(counts(TASKS)), TASKS)
      assert.equal(await tq.enqueued(), TASKS)
      assert.equal(await drain(tq), TASKS)
      assert.equal(runs.size, TASKS)
      assert.deepEqual(timesRun(), [1])
      assert.equal(await tq.enqueued(), 0)
    })
  }

  test('after lost replies a batch is stored twice; every task runs, and nothing else is counted', async () => {
    const tq = newQueue()
    inject('SendMessageBatch', 1, { kind: 'lost-reply' })
    inject('SendMessageBatch', 1, { kind: 'cut-reply' })
    assert.equal(await tq.insert(counts(TASKS)), TASKS)
    assert.equal(await tq.enqueued(), TASKS + 20)
    for (const kind of ['lost-reply', 'cut-reply'] as const) {
      inject('DeleteMessageBatch', 1, { kind })
      // These leases are unknown to the client: their tasks are available again when they end.
      inject('ReceiveMessage', 1, { kind, onLost: endingLeases(sqs.serverEndpoint) })
    }
    assert.equal(await drain(tq), TASKS + 20)
    assert.equal(runs.size, TASKS)
    assert.deepEqual(timesRun(), [1, 2])
    assert.equal(await tq.enqueued(), 0)
  })

  test('tasks that could not be inserted are counted exactly', async () => {
    const tq = newQueue()
    inject('SendMessageBatch', 1, { kind: 'partial', places: [1, 2, 3], code: 'AccessDenied', senderFault: true })
    await assert.rejects(tq.insert(counts(TASKS), { total: TASKS }), (error: unknown) => {
      assert.ok(error instanceof InsertError)
      const { inserted, failed, notTried = Number.NaN } = error
      assert.equal(failed, 3)
      assert.equal(inserted + failed + notTried, TASKS)
      runs.set(0, inserted)
      return true
    })
    assert.equal(await tq.enqueued(), runs.get(0))
  })

  test('permanently failing deletes end the worker with the reason, and the tasks run again', async () => {
    const tq = newQueue({ retrySeconds: 0 })
    await tq.insert(counts(10))
    inject('DeleteMessageBatch', 1, { kind: 'status', status: 503, code: 'ServiceUnavailable' })
    sqs.proxy.requests.length = 0
    await assert.rejects(drain(tq), /Can't delete from sqs:\/\/.*ServiceUnavailable \(HTTP 503\)/)
    assert.equal(await tq.enqueued(), 10)
    // Later ones belong to tasks that were released.
    const refused = sqs.proxy.requests.find(({ action }) => action === 'DeleteMessageBatch')?.body
    await endLeases(sqs.serverEndpoint, refused?.QueueUrl, refused?.Entries?.map(entry => entry.ReceiptHandle) ?? [])
    assert.equal(await drain(tq), 10)
    assert.equal(await tq.enqueued(), 0)
    assert.equal(runs.size, 10)
  })

  test('a task keeps its lease and runs once although renewals fail', async () => {
    const tq = newQueue()
    await tq.insert(partial(takeLong, 1))
    inject('ChangeMessageVisibilityBatch', 1, { kind: 'status', status: 503, code: 'ServiceUnavailable' })
    inject('ChangeMessageVisibilityBatch', 1, { kind: 'reset' })
    inject('ChangeMessageVisibilityBatch', 1, { kind: 'lost-reply' })
    inject('ChangeMessageVisibilityBatch', 1, { kind: 'partial', places: [0], code: 'Internal', senderFault: false })
    // As the worker does by itself at half of the lease, which would have to be waited for.
    whileRunning = () => context().renew(120)
    sqs.proxy.requests.length = 0
    assert.equal(await drain(tq), 1)
    assert.equal(sqs.proxy.count('ChangeMessageVisibilityBatch'), 5)
    assert.deepEqual([...runs], [[1, 1]])
    assert.equal(await tq.enqueued(), 0)
  })
})
