import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before, describe, test } from 'node:test'
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import type { Backend } from '#ptq/backend/backend.js'
import type { Failure, Lease } from '#ptq/backend/messages.js'
import { opener, type SqsOptions } from '#ptq/backends/sqs/index.js'
import { shiftClocks } from '../time/shifted-clock.js'
import { FaultProxy } from './fault-proxy.js'
import { ACCESS, drain, insertAll, makeMessages, only } from './queue.js'
import { SERVER_KINDS, type SqsServer, startServer } from './server.js'

function failureOf(attempt: number, reason = `RangeError: attempt ${attempt} \u0007 of π`): Failure {
  return { attempt, reason, host: 'here', pid: 7, failedAtMs: 1_700_000_000_000, durationSeconds: 0.5 }
}

for (const kind of SERVER_KINDS) {
  describe(`a released message on ${kind}`, () => {
    let server: SqsServer
    let proxy: FaultProxy
    let client: SQSClient
    const open: Backend[] = []
    before(async () => {
      server = await startServer(kind)
      proxy = await FaultProxy.start(server.endpoint)
      client = new SQSClient({ ...ACCESS, endpoint: server.endpoint })
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

    async function newQueue(options: SqsOptions = {}, path = `test-${randomUUID()}`): Promise<Backend> {
      const own = { ...ACCESS, endpoint: proxy.endpoint, createIfMissing: true, emptyWindowSeconds: 0, ...options }
      const backend = await opener.open({ protocol: 'sqs', path }, own)
      open.push(backend)
      return backend
    }

    const leaseOne = async (backend: Backend, seconds = 60): Promise<Lease> =>
      only(await backend.lease({ seconds, max: 1, waitSeconds: 10 }))

    /** Its holder dies: the lease expires without a release. */
    async function die(backend: Backend): Promise<void> {
      await leaseOne(backend, 1)
    }

    async function release(
      backend: Backend,
      lease: Lease,
      options: Partial<Parameters<Backend['release']>[1]> = {},
    ): Promise<void> {
      assert.deepEqual(await backend.release([lease], { delaySeconds: 0, ...options }), [])
    }

    const known = ({ attempt, deaths, deathsAlone, alone, failures }: Lease) => ({
      attempt,
      deaths,
      deathsAlone,
      alone,
      failures: failures?.length,
    })

    const FRESH = { attempt: 1, deaths: 0, deathsAlone: 0, alone: false, failures: 0 }

    test('counts no attempt however often it is released; it is the same message, and stored once', async () => {
      const backend = await newQueue()
      const messages = makeMessages(1)
      await insertAll(backend, messages)
      for (let round = 0; round < 7; round++) {
        const lease = await leaseOne(backend)
        assert.deepEqual(known(lease), FRESH)
        assert.deepEqual({ id: lease.id, body: lease.body }, messages[0])
        await release(backend, lease)
      }
      assert.equal((await backend.counts()).enqueued, 1)
      assert.equal((await drain(backend)).length, 1)
    })

    test('keeps its failures, and counts holders that died apart from them', async () => {
      const backend = await newQueue()
      await insertAll(backend, makeMessages(1))
      await release(backend, await leaseOne(backend), { failure: failureOf(1) })
      await die(backend)
      const second = await leaseOne(backend)
      assert.deepEqual(known(second), { ...FRESH, attempt: 3, deaths: 1, failures: 1 })
      await release(backend, second)
      await release(backend, await leaseOne(backend), { failure: failureOf(3) })
      const third = await leaseOne(backend)
      assert.deepEqual(known(third), { ...FRESH, attempt: 4, deaths: 1, failures: 2 })
      assert.deepEqual(
        third.failures?.map(({ reason }) => reason),
        ['RangeError: attempt 1   of π', 'RangeError: attempt 3   of π'],
      )
    })

    test('keeps the mark to run alone until an attempt fails; one receive is no death, as SQS delivers twice', async () => {
      const backend = await newQueue()
      await insertAll(backend, makeMessages(1))
      await release(backend, await leaseOne(backend), { alone: true })
      const marked = await leaseOne(backend, 1)
      assert.deepEqual(known(marked), { ...FRESH, alone: true })
      await die(backend)
      const third = await leaseOne(backend)
      assert.deepEqual(known(third), { ...FRESH, attempt: 3, deaths: 2, deathsAlone: 1, alone: true })
      // Released without a run, it keeps its mark and its history.
      await release(backend, third)
      await die(backend)
      const fifth = await leaseOne(backend)
      assert.deepEqual(known(fifth), { ...FRESH, attempt: 4, deaths: 3, deathsAlone: 2, alone: true })
      await release(backend, fifth, { failure: failureOf(4) })
      const sixth = await leaseOne(backend)
      assert.deepEqual(known(sixth), { ...FRESH, attempt: 5, deaths: 3, deathsAlone: 2, failures: 1 })
    })

    test('waits for its delay', async () => {
      for (const path of [`test-${randomUUID()}`, `test-${randomUUID()}.fifo`]) {
        const backend = await newQueue({}, path)
        await insertAll(backend, makeMessages(1))
        await release(backend, await leaseOne(backend), { delaySeconds: 900, failure: failureOf(1) })
        assert.deepEqual(await backend.lease({ seconds: 1, max: 1, waitSeconds: 0 }), [])
        const messages = makeMessages(1)
        await insertAll(backend, messages)
        await release(backend, await leaseOne(backend), { delaySeconds: 1, failure: failureOf(1) })
        const again = await leaseOne(backend)
        assert.equal(again.id, messages[0]?.id)
        assert.deepEqual(known(again), { ...FRESH, attempt: 2, failures: 1 })
      }
    })

    test('keeps the attributes and the message group of another sender', async () => {
      const path = `test-${randomUUID()}.fifo`
      const backend = await newQueue({}, path)
      const [message] = makeMessages(1)
      assert.ok(message)
      await client.send(
        new SendMessageCommand({
          QueueUrl: backend.identity,
          MessageBody: message.body,
          MessageGroupId: 'theirs',
          MessageDeduplicationId: randomUUID(),
          MessageAttributes: {
            trace: { DataType: 'String', StringValue: 'abc' },
            blob: { DataType: 'Binary', BinaryValue: Buffer.from([0, 255, 7]) },
          },
        }),
      )
      const lease = await leaseOne(backend)
      await release(backend, lease, { failure: failureOf(1) })
      const { Messages: [raw] = [] } = await client.send(
        new ReceiveMessageCommand({
          QueueUrl: backend.identity,
          MessageAttributeNames: ['All'],
          AttributeNames: ['All'],
        }),
      )
      assert.equal(raw?.Body, message.body)
      assert.equal(raw.Attributes?.MessageGroupId, 'theirs')
      assert.equal(raw.MessageAttributes?.trace?.StringValue, 'abc')
      assert.deepEqual([...(raw.MessageAttributes?.blob?.BinaryValue ?? [])], [0, 255, 7])
      assert.ok(raw.MessageAttributes?.ptq)
    })

    test('ignores an attribute `ptq` of another sender', async () => {
      const backend = await newQueue()
      const values = ['x', '[1]', 'null', '{"failed": -1, "deaths": 1e99, "failures": "no", "notBeforeMs": "now"}']
      for (const StringValue of values) {
        const [message] = makeMessages(1)
        assert.ok(message)
        const MessageAttributes = { ptq: { DataType: 'String', StringValue } }
        const QueueUrl = backend.identity
        await client.send(new SendMessageCommand({ QueueUrl, MessageBody: message.body, MessageAttributes }))
        const lease = await leaseOne(backend)
        assert.deepEqual(known(lease), FRESH)
        await release(backend, lease)
        assert.deepEqual(await backend.delete([await leaseOne(backend)], { tally: false }), [])
      }
    })

    test('of the maximum size loses the texts of its failures, and SQS counts the attempts at the very limit', async () => {
      const backend = await newQueue()
      for (const [left, expected] of [
        [100, { ...FRESH, attempt: 2, failures: 0 }],
        [0, { ...FRESH, attempt: 2, deaths: 1 }],
      ] as const) {
        await insertAll(backend, [{ id: randomUUID(), body: 'x'.repeat(1_048_576 - left) }])
        await release(backend, await leaseOne(backend), { failure: failureOf(1) })
        const again = await leaseOne(backend)
        assert.deepEqual(known(again), expected)
        assert.deepEqual(await backend.delete([again], { tally: false }), [])
      }
    })

    test('without the permission to send is available again with SQS counting, and one warning', async () => {
      const backend = await newQueue()
      await insertAll(backend, makeMessages(2))
      const code = 'AccessDenied'
      proxy.rules.push({ action: 'SendMessageBatch', times: 9, kind: 'status', status: 403, code })
      const warnings: string[] = []
      const onWarning = (warning: Error & { code?: string }) => {
        if (warning.code === 'PTQ_SQS_NO_SEND') warnings.push(warning.message)
      }
      process.on('warning', onWarning)
      for (let round = 1; round <= 2; round++) {
        for (const lease of await backend.lease({ seconds: 60, max: 2, waitSeconds: 5 })) {
          assert.equal(lease.attempt, round)
          await release(backend, lease)
        }
      }
      process.off('warning', onWarning)
      assert.equal(warnings.length, 1)
      assert.match(warnings[0] ?? '', /a worker needs the right sqs:SendMessage .*AccessDenied/)
    })

    test('is stored before the old one is deleted, and only once if the delete has to be repeated', async () => {
      const backend = await newQueue({ retrySeconds: 0, maxAttempts: 1 })
      await insertAll(backend, makeMessages(1))
      const lease = await leaseOne(backend)
      proxy.rules.push({ action: 'DeleteMessageBatch', times: 1, kind: 'status', status: 503, code: 'Unavailable' })
      proxy.requests.length = 0
      const [failure] = await backend.release([lease], { delaySeconds: 0 })
      assert.match(failure?.error.message ?? '', /Can't release on .*Unavailable/)
      await release(backend, lease)
      assert.deepEqual(
        proxy.requests.map(({ action }) => action),
        ['SendMessageBatch', 'DeleteMessageBatch', 'DeleteMessageBatch'],
      )
      assert.equal((await drain(backend)).length, 1)
    })

    test('is stored once if its lease would have expired between the two requests', async () => {
      const path = `test-${randomUUID()}`
      const [backend, other] = [await newQueue({}, path), await newQueue({ createIfMissing: false }, path)]
      await insertAll(backend, makeMessages(1))
      const lease = await leaseOne(backend, 3)
      let resume: () => void = () => undefined
      const begun = new Promise<void>(resolve => {
        const resumed = new Promise<void>(go => {
          resume = go
        })
        const fault = { kind: 'halting-reply', begun: resolve, resume: resumed } as const
        proxy.rules.push({ action: 'SendMessageBatch', times: 1, ...fault })
      })
      const released = backend.release([lease], { delaySeconds: 0, alone: true })
      await begun
      const again = await leaseOne(other)
      assert.equal(again.alone, true)
      // Longer than the first lease. A poll does not notice that a lease ends while it waits; the next one does.
      assert.deepEqual(await other.lease({ seconds: 60, max: 1, waitSeconds: 4 }), [])
      assert.deepEqual(await other.lease({ seconds: 60, max: 1, waitSeconds: 0 }), [])
      resume()
      assert.deepEqual(await released, [])
      assert.deepEqual(await other.delete([again], { tally: false }), [])
    })

    test('is not stored again after its lease expired, though others of the batch are held', async () => {
      // The other one is sent again after a sleep that is longer than the default.
      const backend = await newQueue({ maxAttempts: 1, retrySeconds: 120 })
      await insertAll(backend, makeMessages(2))
      const [short, long] = [await leaseOne(backend, 60), await leaseOne(backend, 600)]
      proxy.rules.push({ action: 'SendMessageBatch', times: 1, kind: 'status', status: 503, code: 'Unavailable' })
      proxy.requests.length = 0
      const sent = proxy.next('SendMessageBatch').then(() => shiftClocks({ clockShift: 'sleep', seconds: 70 }))
      const failures = await backend.release([short, long], { delaySeconds: 0 })
      await sent
      assert.deepEqual(
        failures.map(({ index, error }) => [index, error.name]),
        [[0, 'LeaseLostError']],
      )
      const stored = proxy.requests.filter(({ action }) => action === 'SendMessageBatch').slice(1)
      const bodies = stored.flatMap(({ body }) => (body.Entries ?? []).map(entry => Reflect.get(entry, 'MessageBody')))
      assert.deepEqual(bodies, [long.body])
    })

    test('that failed as often as the redrive policy allows receives is left to that policy', async () => {
      const letters = await newQueue()
      const path = `test-${randomUUID()}`
      const { Attributes } = await client.send(
        new GetQueueAttributesCommand({ QueueUrl: letters.identity, AttributeNames: ['QueueArn'] }),
      )
      const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: Attributes?.QueueArn, maxReceiveCount: 2 })
      await client.send(new CreateQueueCommand({ QueueName: path, Attributes: { RedrivePolicy } }))
      const backend = await newQueue({ createIfMissing: false }, path)
      await insertAll(backend, makeMessages(1))
      let attempts = 0
      while ((await letters.counts()).enqueued === 0) {
        const [lease] = await backend.lease({ seconds: 60, max: 1, waitSeconds: 1 })
        if (lease === undefined) continue
        // Those that SQS counts are no deaths.
        assert.deepEqual(known(lease), {
          ...FRESH,
          attempt: Math.min(3, attempts + 1),
          failures: Math.min(2, attempts),
        })
        attempts++
        // The servers move nothing that is made visible at once.
        await release(backend, lease, { failure: failureOf(attempts), delaySeconds: 1 })
      }
      // The one server counts receives, the other one changes of visibility too.
      assert.ok(attempts >= 3 && attempts <= 4, `${attempts} attempts`)
      assert.equal((await leaseOne(letters)).failures?.length, 2)
    })

    test('is not counted by the redrive policy; an invalid message is', async () => {
      const letters = await newQueue()
      const { Attributes } = await client.send(
        new GetQueueAttributesCommand({ QueueUrl: letters.identity, AttributeNames: ['QueueArn'] }),
      )
      const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: Attributes?.QueueArn, maxReceiveCount: 3 })
      const path = `test-${randomUUID()}`
      await client.send(new CreateQueueCommand({ QueueName: path, Attributes: { RedrivePolicy } }))
      const backend = await newQueue({ createIfMissing: false }, path)
      await insertAll(backend, makeMessages(1))
      for (let round = 0; round < 5; round++) await release(backend, await leaseOne(backend))
      assert.equal((await letters.counts()).enqueued, 0)
      let received = 0
      while ((await letters.counts()).enqueued === 0) {
        const [lease] = await backend.lease({ seconds: 60, max: 1, waitSeconds: 1 })
        if (lease === undefined) continue
        received++
        // The backend does not read bodies. An attempt of 0 delays it for a second only.
        await backend.quarantine?.({ ...lease, attempt: 0 }, 'no task')
      }
      // The one server counts receives, the other one changes of visibility too.
      assert.ok(received > 0 && received <= 3, `${received} receives`)
    })
  })
}
