import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { GetQueueUrlCommand, SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs'
import { partial } from 'ptq'
import { shiftClocks } from '../time/shifted-clock.js'
import { fail, knock, note } from './poll-tasks.js'
import { redriveTo, useProxiedServer } from './proxied-server.js'
import { ACCESS } from './queue.js'
import { closeServer, listen } from './server.js'
import { startWorker } from './worker-process.js'

describe('a worker on SQS', () => {
  const sqs = useProxiedServer()

  // A failed attempt is delayed by a second: the minimum of SQS.
  const SOON = { minBackoffSeconds: 0.01, maxBackoffSeconds: 0.01 }

  test('loses a task whose lease expired while the machine slept, and runs it again', async () => {
    const tq = sqs.newQueue()
    await tq.insert(partial(note, 1, '/dev/null'))
    const seen: string[] = []
    tq.events.on('succeeded', () => seen.push('succeeded')).on('lost', ({ error }) => seen.push((error as Error).name))
    let sleptOnce = false
    tq.events.on('deleting', () => {
      if (!sleptOnce) shiftClocks({ clockShift: 'sleep', seconds: 10 })
      sleptOnce = true
    })
    assert.equal(await tq.poll({ ...SOON, parallel: 0, leaseSeconds: 5, untilEmpty: true }), 1)
    // A lease counts from its request: one that was requested before the sleep has ended when it arrives, and is lost
    // too.
    assert.equal(seen.pop(), 'succeeded')
    assert.ok(seen.length > 0)
    assert.ok(seen.every(name => name === 'LeaseLostError'))
  })

  describe('a task that fails too often moves to the dead letters with its reason', () => {
    test('on SQS', async () => {
      const tq = sqs.newQueue()
      const letters = sqs.newQueue()
      await tq.insert(partial(fail, 'no such volume'))
      const deaths: string[] = []
      tq.events.on('dead-lettered', ({ reason, deadLetter }) => deaths.push(reason, deadLetter))
      assert.equal(
        await tq.poll({ ...SOON, parallel: 0, maxAttempts: 2, deadLetter: letters.url, untilEmpty: true }),
        0,
      )
      assert.deepEqual(deaths, ['RangeError: no such volume', letters.url])
      assert.equal(await tq.enqueued(), 0)
      const [letter, ...others] = await letters.lease({ numTasks: 10 })
      assert.deepEqual(others, [])
      assert.deepEqual(letter?.payload(), [['poll-tasks', 'fail'], ['no such volume'], {}, -1])
      assert.deepEqual(
        letter.failures.map(({ attempt, reason, pid }) => [attempt, reason, pid]),
        [1, 2].map(attempt => [attempt, 'RangeError: no such volume', process.pid]),
      )
    })

    test('in a folder, with the queue itself on SQS', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'ptq-sqs-'))
      const deadLetter = `fq://${join(folder, 'failed')}`
      const tq = sqs.newQueue()
      await tq.insert(partial(fail, 'π ≠ 3'))
      assert.equal(await tq.poll({ ...SOON, parallel: 0, maxAttempts: 1, deadLetter, untilEmpty: true }), 0)
      const reasons: string[] = []
      for await (const { failures } of tq.failures({ deadLetter }))
        reasons.push(...failures.map(({ reason }) => reason))
      assert.deepEqual(reasons, ['RangeError: π ≠ 3'])
      assert.equal(await tq.enqueued(), 0)
      await rm(folder, { recursive: true })
    })

    test('or stays in the queue without dead letters, with each failure reported', async () => {
      const tq = sqs.newQueue()
      await tq.insert(partial(fail, 'once more'))
      const retries: [number, number | undefined][] = []
      tq.events.on('failed', ({ task, retryInSeconds }) => retries.push([task.attempt, retryInSeconds]))
      const stopFn = ({ failed }: { failed: number }) => failed === 2
      assert.equal(await tq.poll({ ...SOON, parallel: 0, maxAttempts: 1, stopFn }), 0)
      assert.deepEqual(retries, [
        [1, 1],
        [2, 1],
      ])
      assert.equal(await tq.enqueued(), 1)
    })
  })
  describe('SIGTERM', () => {
    // Longer than any test: what is free again was released.
    const HELD = { parallel: 1, leaseSeconds: 600 }

    test('lets the running task finish, and leases no other', async () => {
      const gate = await Gate.open()
      const tq = sqs.newQueue()
      await tq.insert([partial(knock, gate.url), partial(knock, gate.url)])
      const worker = startWorker({ queue: tq.url, endpoint: sqs.proxy.endpoint, poll: HELD })
      const running = await gate.knocked
      worker.child.kill('SIGTERM')
      assert.equal(await worker.nextLine(), 'asked to stop')
      running.end()
      assert.deepEqual(await worker.ended, { code: 143, signal: null })
      assert.deepEqual(worker.lines, ['asked to stop', 'Executed: 1'])
      const { enqueued, leased } = await tq.status()
      assert.deepEqual({ enqueued, leased }, { enqueued: 1, leased: 0 })
      await gate.close()
    })

    test('releases leased tasks that have not started at once', async () => {
      const tq = sqs.newQueue()
      await tq.insert(partial(fail, 'nobody runs it'))
      const worker = startWorker({ queue: tq.url, endpoint: sqs.proxy.endpoint, poll: HELD, untilStopped: true })
      while ((await tq.leased()) === 0) await sqs.proxy.next('ReceiveMessage')
      worker.child.kill('SIGTERM')
      assert.deepEqual(await worker.ended, { code: 143, signal: null })
      assert.deepEqual(worker.lines, ['asked to stop', 'Executed: 0'])
      assert.equal((await tq.lease()).length, 1)
    })

    test('releases running tasks at once the second time', async () => {
      const gate = await Gate.open()
      const tq = sqs.newQueue()
      await tq.insert(partial(knock, gate.url))
      const worker = startWorker({ queue: tq.url, endpoint: sqs.proxy.endpoint, poll: HELD })
      await gate.knocked
      worker.child.kill('SIGTERM')
      assert.equal(await worker.nextLine(), 'asked to stop')
      worker.child.kill('SIGTERM')
      assert.deepEqual(await worker.ended, { code: 143, signal: null })
      assert.deepEqual(worker.lines, ['asked to stop'])
      assert.equal((await tq.lease()).length, 1)
      await gate.close()
    })

    // Without the signal it would end only with the time-out of a socket, since nothing answers it.
    test('ends a long poll', { timeout: 120_000 }, async () => {
      const tq = sqs.newQueue()
      await tq.enqueued()
      const poll = { minBackoffSeconds: 100 }
      const worker = startWorker({ queue: tq.url, endpoint: sqs.proxy.endpoint, poll })
      await sqs.proxy.next('ReceiveMessage')
      sqs.proxy.rules.push({ action: 'ReceiveMessage', times: 1, kind: 'hang' })
      await sqs.proxy.next('ReceiveMessage')
      assert.equal(sqs.proxy.requests.at(-1)?.body.WaitTimeSeconds, 20)
      worker.child.kill('SIGTERM')
      assert.deepEqual(await worker.ended, { code: 143, signal: null })
    })
  })

  test('leaves an invalid message to the redrive policy of the queue, and runs the tasks beside it', async () => {
    const letters = sqs.newQueue()
    assert.equal(await letters.enqueued(), 0)
    const tq = await sqs.newQueueWith(redriveTo(letters, 1))
    const client = new SQSClient({ ...ACCESS, endpoint: sqs.serverEndpoint })
    const { QueueUrl } = await client.send(new GetQueueUrlCommand({ QueueName: tq.url.slice('sqs://'.length) }))
    const Entries = ['{"payload": [1, 2', 'plain text'].map((MessageBody, n) => ({ Id: String(n), MessageBody }))
    await client.send(new SendMessageBatchCommand({ QueueUrl, Entries }))
    client.destroy()
    await tq.insert([partial(note, 1, '/dev/null'), partial(note, 2, '/dev/null')])
    assert.equal(await tq.poll({ ...SOON, parallel: 0, untilEmpty: true }), 2)
    assert.equal(await letters.enqueued(), 2)
  })

  test('leaves no pending receive when it ends on an empty queue', async () => {
    const gate = await Gate.open()
    const tq = sqs.newQueue()
    await tq.insert(partial(knock, gate.url))
    sqs.proxy.requests.length = 0
    const polled = tq.poll({ ...SOON, parallel: 2, leaseSeconds: 600, untilEmpty: true })
    const running = await gate.knocked
    // The idle thread polls for more all the time.
    for (let looks = 0; looks < 5; looks++) await sqs.proxy.next('ReceiveMessage')
    running.end()
    assert.equal(await polled, 1)
    const receives = sqs.proxy.requests.filter(({ action }) => action === 'ReceiveMessage')
    assert.deepEqual([...new Set(receives.map(({ body }) => body.WaitTimeSeconds))], [0])
    await gate.close()
  })
})

/** A server that responds on command: tasks that call it run until then. */
class Gate {
  readonly #server: Server
  readonly url: string
  /** Resolves at the first call of a task, with the response that ends it. */
  readonly knocked: Promise<ServerResponse>

  private constructor(server: Server, url: string) {
    this.#server = server
    this.url = url
    this.knocked = new Promise(resolve => server.once('request', (_, response) => resolve(response)))
  }

  static async open(): Promise<Gate> {
    const server = createServer()
    return new Gate(server, (await listen(server)).endpoint)
  }

  close(): Promise<void> {
    return closeServer(this.#server)
  }
}
