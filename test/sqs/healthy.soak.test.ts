import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, test } from 'node:test'
import { CreateQueueCommand, SQSClient } from '@aws-sdk/client-sqs'
import { context, partial, queueable, TaskQueue } from 'ptq'
import { killWorker, note } from './poll-tasks.js'
import { ACCESS, newTaskQueue } from './queue.js'
import { SERVER_KINDS, type SqsServer, startServer } from './server.js'
import { startWorker } from './worker-process.js'

class RateLimited extends Error {
  override readonly name = 'RateLimited'
}

/** The number of starts of each task. */
const begun = new Map<number, number>()

const limited = queueable(function limitedOnSqs(n: number, times: number): void {
  begun.set(n, (begun.get(n) ?? 0) + 1)
  if ((begun.get(n) ?? 0) <= times) throw new RateLimited('not now')
})

let whenRunning: () => void = () => undefined

const interrupted = queueable(async function interruptedOnSqs(n: number, times: number): Promise<void> {
  begun.set(n, (begun.get(n) ?? 0) + 1)
  if ((begun.get(n) ?? 0) > times) return
  const { signal } = context()
  whenRunning()
  if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve))
})

const SOON = { minBackoffSeconds: 0.01, maxBackoffSeconds: 0.01 } as const

for (const kind of SERVER_KINDS) {
  describe(`a task that never failed and killed no worker does not become a dead letter on ${kind}`, () => {
    let server: SqsServer
    const open: TaskQueue[] = []
    before(async () => {
      server = await startServer(kind)
    })
    afterEach(async () => {
      begun.clear()
      for (const tq of open.splice(0)) await tq.close()
    })
    after(() => server.close())

    async function newQueue(): Promise<TaskQueue> {
      const tq = newTaskQueue(server.endpoint)
      open.push(tq)
      assert.equal(await tq.enqueued(), 0)
      return tq
    }

    /** A queue with a redrive policy: after two receives SQS moves a message to `letters`. */
    async function newRedrivenQueue(letters: TaskQueue): Promise<TaskQueue> {
      const client = new SQSClient({ ...ACCESS, endpoint: server.endpoint })
      const deadLetterTargetArn = `arn:aws:sqs:us-east-1:000000000000:${letters.url.slice('sqs://'.length)}`
      const RedrivePolicy = JSON.stringify({ deadLetterTargetArn, maxReceiveCount: 2 })
      const QueueName = `test-${randomUUID()}`
      await client.send(new CreateQueueCommand({ QueueName, Attributes: { RedrivePolicy } }))
      client.destroy()
      const tq = new TaskQueue(`sqs://${QueueName}`, { ...ACCESS, endpoint: server.endpoint, emptyWindowSeconds: 0 })
      open.push(tq)
      return tq
    }

    for (const redriven of kind === 'fauxqs' ? [false, true] : [false]) {
      test(`after rate limits${redriven ? ', in a queue with a redrive policy' : ''}`, async () => {
        const letters = await newQueue()
        const tq = redriven ? await newRedrivenQueue(letters) : await newQueue()
        await tq.insert(Array.from({ length: 25 }, (_, n) => partial(limited, n, 4)))
        const options = { maxAttempts: 2, deadLetter: letters.url, backoffExceptions: ['RateLimited'] }
        assert.equal(await tq.poll({ ...SOON, ...options, parallel: 0, untilEmpty: true }), 25)
        assert.deepEqual([...new Set(begun.values())], [5])
        assert.equal(await letters.enqueued(), 0)
      })
    }

    test('after workers that stop while they run or prefetch it', async () => {
      const [tq, letters] = [await newQueue(), await newQueue()]
      await tq.insert(Array.from({ length: 12 }, (_, n) => partial(interrupted, n, 3)))
      const options = { ...SOON, parallel: 0, maxAttempts: 1, deadLetter: letters.url, graceSeconds: 0.01 }
      for (;;) {
        const stop = new AbortController()
        whenRunning = () => stop.abort()
        await tq.poll({ ...options, signal: stop.signal, untilEmpty: true })
        if (!stop.signal.aborted) break
      }
      assert.deepEqual([...new Set(begun.values())], [4])
      assert.equal(await letters.enqueued(), 0)
      assert.equal(await tq.enqueued(), 0)
    })

    test('beside a task that kills each worker, which becomes one after few deaths, with a true reason', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'ptq-sqs-'))
      const ledger = join(folder, 'ledger')
      const [tq, letters] = [await newQueue(), await newQueue()]
      const healthy = (from: number) => Array.from({ length: 20 }, (_, n) => partial(note, from + n, ledger))
      await tq.insert([...healthy(0), partial(killWorker), ...healthy(20)])
      const maxAttempts = 1
      // A lease that a busy machine can keep: one that is over before the message is sent again leaves two of it.
      const poll = { ...SOON, parallel: 2, leaseSeconds: 4, maxAttempts, deadLetter: letters.url, untilEmpty: true }
      let deaths = 0
      for (;;) {
        const { code, signal } = await startWorker({ queue: tq.url, endpoint: server.endpoint, poll }).ended
        if (signal === null) {
          assert.equal(code, 0)
          break
        }
        assert.equal(signal, 'SIGKILL')
        deaths++
        // Three among others, one that SQS might have invented, and those that count.
        assert.ok(deaths <= 4 + maxAttempts, `${deaths} deaths`)
      }
      const [letter, ...others] = await letters.lease({ numTasks: 10 })
      assert.deepEqual(
        others.map(({ name }) => name),
        [],
      )
      assert.equal(letter?.name, 'poll-tasks.killWorker')
      assert.match(letter.failures.at(-1)?.reason ?? '', /died/)
      const ran = new Set(
        readFileSync(ledger, 'utf8')
          .split('\n')
          .map(line => line.split(' ')[0]),
      )
      for (let n = 0; n < 40; n++) assert.ok(ran.has(String(n)), `task ${n}`)
      await rm(folder, { recursive: true })
    })
  })
}
