import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterEach, describe, test } from 'node:test'
import { partial } from 'ptq'
import { knock, note } from './poll-tasks.js'
import { useProxiedServer } from './proxied-server.js'
import { newTaskQueue } from './queue.js'
import { closeServer, listen } from './server.js'
import { startWorker } from './worker-process.js'

/** A worker that waits for the SDK's attempts and for `retrySeconds` takes longer than that. */
const timeout = 45_000

describe('when SQS no longer answers', () => {
  let hung: ReadonlySet<string> | undefined
  // Before the queues are closed.
  afterEach(() => {
    hung = undefined
  })
  const sqs = useProxiedServer({
    choose: ({ action }) => (hung?.has(action) || hung?.has('*') ? { kind: 'hang' } : undefined),
  })

  test('a worker with a task longer than graceSeconds ends soon after them, and says why', { timeout }, async () => {
    const gate = createServer()
    const { endpoint } = await listen(gate)
    const tq = sqs.newQueue()
    await tq.insert([partial(knock, endpoint), partial(knock, endpoint)])
    const poll = { parallel: 1, graceSeconds: 1, leaseSeconds: 600 }
    const knocked = once(gate, 'request')
    const worker = startWorker({ queue: tq.url, endpoint: sqs.proxy.endpoint, poll }, { printsErrors: false })
    await knocked
    hung = new Set(['*'])
    worker.child.kill('SIGTERM')
    const { code, signal } = await worker.ended
    assert.equal(signal, null)
    assert.equal(code, 1)
    assert.match(
      worker.errorText(),
      /^Error: The worker stopped, and sqs:\S+ .* did not answer within 10 s: what it still held/m,
    )
    await closeServer(gate)
  })

  test('a worker ends although deletions hang', { timeout }, async () => {
    const tq = sqs.newQueue()
    await tq.insert([partial(note, 1, '/dev/null')])
    hung = new Set(['DeleteMessageBatch'])
    const stop = new AbortController()
    const deleting = sqs.proxy.next('DeleteMessageBatch')
    const polled = tq.poll({ parallel: 0, graceSeconds: 0.1, signal: stop.signal })
    await deleting
    stop.abort()
    await assert.rejects(polled, /The worker stopped, and sqs:\S+ .* did not answer within 10 s: what it still held/)
  })

  test('a worker ends although the counts of untilEmpty hang', { timeout }, async () => {
    const tq = sqs.newQueue()
    await tq.insert([partial(note, 1, '/dev/null')])
    hung = new Set(['GetQueueAttributes'])
    const stop = new AbortController()
    const counting = sqs.proxy.next('GetQueueAttributes')
    const polled = tq.poll({ parallel: 0, graceSeconds: 0.1, signal: stop.signal, untilEmpty: true })
    await counting
    stop.abort()
    await polled.catch((error: unknown) => assert.match(String(error), /did not answer within 10 s/))
  })

  test('close of a queue with leases ends', { timeout }, async () => {
    const tq = newTaskQueue(sqs.proxy.endpoint)
    await tq.insert([partial(note, 1, '/dev/null')])
    assert.equal((await tq.lease()).length, 1)
    hung = new Set(['*'])
    await assert.rejects(tq.close(), /was closed, and did not answer within 5 s: 1 lease ends by itself/)
  })
})
