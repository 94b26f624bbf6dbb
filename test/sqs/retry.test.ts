import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, test } from 'node:test'
import { CreateQueueCommand, SQSClient } from '@aws-sdk/client-sqs'
import { partial, queueable, registerBackend, TaskQueue } from 'ptq'
import type { Backend } from '#ptq/backend/backend.js'
import { messageWriter } from '#ptq/backend/envelope.js'
import type { Lease } from '#ptq/backend/messages.js'
import { opener } from '#ptq/backends/sqs/index.js'
import { ACCESS } from './queue.js'
import { type SqsServer, startServer } from './server.js'

const perform = queueable(function performRetried(name: string): string {
  return name
})

/** SQS that takes so many leases only; `most` is how many there were at once. */
const maxLeased = 200
let most = 0

registerBackend('fewsqs', {
  async open({ path }, options): Promise<Backend> {
    const sqs = await opener.open({ protocol: 'sqs', path }, options)
    const held = new Set<Lease>()
    const endsLeases =
      <Rest extends unknown[], T>(verb: (leases: readonly Lease[], ...rest: Rest) => Promise<T>) =>
      (leases: readonly Lease[], ...rest: Rest): Promise<T> => {
        for (const lease of leases) held.delete(lease)
        return verb(leases, ...rest)
      }
    return {
      capabilities: { ...sqs.capabilities, maxLeased },
      label: sqs.label,
      queueName: sqs.queueName,
      insert: (...args) => sqs.insert(...args),
      async lease(options) {
        const leases = await sqs.lease(options)
        for (const lease of leases) held.add(lease)
        most = Math.max(most, held.size)
        return leases
      },
      renew: (...args) => sqs.renew(...args),
      release: endsLeases((leases, options: Parameters<Backend['release']>[1]) => sqs.release(leases, options)),
      delete: endsLeases((leases, options: Parameters<Backend['delete']>[1]) => sqs.delete(leases, options)),
      counts: () => sqs.counts(),
      purge: options => sqs.purge(options),
      close: () => sqs.close(),
    }
  },
})

describe('retry of dead letters on SQS', () => {
  let server: SqsServer
  const open: TaskQueue[] = []
  before(async () => {
    server = await startServer('fauxqs')
  })
  afterEach(async () => {
    for (const tq of open.splice(0)) await tq.close()
  })
  after(() => server.close())

  function newQueue(url: string): TaskQueue {
    const options = { ...ACCESS, endpoint: server.endpoint, createIfMissing: true, emptyWindowSeconds: 0 }
    const tq = new TaskQueue(url, { ...options, progress: false })
    open.push(tq)
    return tq
  }

  const names = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, n) => partial(perform, `${prefix} ${n}`))

  test('with `match` finds matching ones among any number of others, and leases few at once', async () => {
    const tq = newQueue(`sqs://test-${randomUUID()}`)
    const letters = newQueue(`fewsqs://test-${randomUUID()}`)
    await letters.insert([...names('other', 250), ...names('wanted', 5), ...names('other', 250)])
    most = 0
    assert.equal(await tq.retry({ match: 'wanted', deadLetter: letters.url }), 5)
    assert.ok(most <= maxLeased / 5, `${most} leases at once`)
    assert.equal(await tq.enqueued(), 5)
    const { enqueued, leased } = await letters.status()
    assert.deepEqual({ enqueued, leased }, { enqueued: 500, leased: 0 })
  })

  test('retries one that is too large with its history without it; the others keep theirs', async () => {
    const client = new SQSClient({ ...ACCESS, endpoint: server.endpoint })
    const QueueName = `test-${randomUUID()}`
    await client.send(new CreateQueueCommand({ QueueName, Attributes: { MaximumMessageSize: '1024' } }))
    client.destroy()
    const tq = newQueue(`sqs://${QueueName}`)
    const path = `test-${randomUUID()}`
    const letters = await opener.open(
      { protocol: 'sqs', path },
      { ...ACCESS, endpoint: server.endpoint, createIfMissing: true },
    )
    const failure = { attempt: 1, reason: 'Error: x', host: 'h', pid: 1, failedAtMs: 1, durationSeconds: 1 }
    const write = messageWriter('test')
    const messages = [10, 800].map(length => {
      const id = randomUUID()
      const payload = `[["tasks", "noop"], ["${'x'.repeat(length)}"], {}, -1]`
      return { id, body: write(payload, id, { failures: [failure, failure] }) }
    })
    assert.deepEqual(await letters.insert(messages, { delaySeconds: 0 }), [])
    await letters.close()
    assert.equal(await tq.retry({ deadLetter: `sqs://${path}` }), 2)
    const leased = await tq.lease({ numTasks: 10, waitSeconds: 20 })
    const lengths = leased.map(({ payloadText, failures }) => [payloadText.length > 800, failures.length])
    assert.deepEqual(lengths.sort(), [
      [false, 2],
      [true, 0],
    ])
  })

  test('leaves one that the queue refuses a dead letter; the others are retried', async () => {
    const client = new SQSClient({ ...ACCESS, endpoint: server.endpoint })
    const QueueName = `test-${randomUUID()}`
    await client.send(new CreateQueueCommand({ QueueName, Attributes: { MaximumMessageSize: '1024' } }))
    client.destroy()
    const tq = newQueue(`sqs://${QueueName}`)
    const letters = newQueue(`sqs://test-${randomUUID()}`)
    await letters.insert([...names('small', 15), partial(perform, 'x'.repeat(2_000)), ...names('small', 15)])
    await assert.rejects(
      tq.retry({ deadLetter: letters.url }),
      /^Error: 30 dead letters were put back .* refused: .*1024/,
    )
    assert.equal(await tq.enqueued(), 30)
    assert.equal(await letters.enqueued(), 1)
    assert.equal((await letters.lease()).length, 1)
  })
})
