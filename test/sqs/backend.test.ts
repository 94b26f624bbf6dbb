import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Backend } from '#ptq/backend/backend.js'
import { LeaseLostError, UnsupportedOperationError } from '#ptq/errors/errors.js'
import { drain, insertAll, makeMessages, only, openQueue, sorted } from './queue.js'
import { SERVER_KINDS, type SqsServer, startServer } from './server.js'

for (const kind of SERVER_KINDS) {
  describe(`the SQS backend on ${kind}`, () => {
    let server: SqsServer
    before(async () => {
      server = await startServer(kind)
    })
    after(() => server.close())

    async function withQueue(options: Parameters<typeof openQueue>[1], run: (backend: Backend) => Promise<void>) {
      const backend = await openQueue(server.endpoint, options)
      try {
        await run(backend)
      } finally {
        await backend.close()
      }
    }

    test('returns what was inserted, byte for byte', () =>
      withQueue({}, async backend => {
        const texts = ['plain', 'tab\tline\nend\r', 'π ≠ 漢字', '\\ud83d\\ude00', ' '.repeat(20), '"quotes" & <angles>']
        if (kind === 'local-aws-sqs') texts.push('😀 beyond the BMP')
        const messages = texts.map((body, n) => ({ id: String(n), body }))
        await insertAll(backend, messages)
        assert.deepEqual(sorted(await drain(backend)), sorted(messages))
      }))

    test('gives a lease the id of its message, or that of SQS for a body from Python', () =>
      withQueue({}, async backend => {
        const [ours] = makeMessages(1)
        const python = '{"payload": [["tasks", "print_task"], ["\\u4e16"], {}, -1], "queueName": "test"}'
        assert.ok(ours)
        await insertAll(backend, [ours, { id: 'unused', body: python }])
        const leases = await backend.lease({ seconds: 30, max: 2, waitSeconds: 5 })
        const idOf = (body: string) => leases.find(lease => lease.body === body)?.id
        assert.equal(idOf(ours.body), ours.id)
        assert.match(idOf(python) ?? '', /^[0-9a-f-]{36}$/)
      }))

    test('leases more than ten in one call, and never more than asked for', () =>
      withQueue({}, async backend => {
        const messages = makeMessages(57)
        await insertAll(backend, messages)
        const first = await backend.lease({ seconds: 30, max: 33, waitSeconds: 0 })
        assert.equal(first.length, 33)
        const rest = await backend.lease({ seconds: 30, max: 100, waitSeconds: 0 })
        assert.deepEqual(sorted([...first, ...rest]), sorted(messages))
        assert.deepEqual(await backend.delete([...first, ...rest], { tally: true }), [])
        assert.deepEqual(await drain(backend), [])
      }))

    test('wakes a long poll for a message, and ends it empty when the wait is over', () =>
      withQueue({}, async backend => {
        // Asks for one message: local-aws-sqs answers only when it has all that were asked for.
        const waiting = backend.lease({ seconds: 30, max: 1, waitSeconds: 20 })
        await insertAll(backend, makeMessages(1))
        const lease = only(await waiting)
        assert.deepEqual(await backend.delete([lease], { tally: false }), [])
        assert.deepEqual(await backend.lease({ seconds: 30, max: 10, waitSeconds: 1 }), [])
      }))

    test('ends the wait on an abort without taking a message', () =>
      withQueue({}, async backend => {
        const abort = new AbortController()
        const waiting = backend.lease({ seconds: 30, max: 10, waitSeconds: 600, signal: abort.signal })
        abort.abort()
        assert.deepEqual(await waiting, [])
        assert.deepEqual(await backend.lease({ seconds: 30, max: 1, waitSeconds: 5, signal: abort.signal }), [])
        await insertAll(backend, makeMessages(1))
        only(await backend.lease({ seconds: 30, max: 1, waitSeconds: 5 }))
      }))

    test('reports an expired lease as lost, and the next holder keeps the message', () =>
      withQueue({}, async backend => {
        await insertAll(backend, makeMessages(1))
        const stale = only(await backend.lease({ seconds: 1, max: 1, waitSeconds: 0 }))
        const fresh = only(await backend.lease({ seconds: 30, max: 1, waitSeconds: 10 }))
        for (const failures of [
          await backend.delete([stale], { tally: true }),
          await backend.renew([stale], 60),
          await backend.release([stale], { delaySeconds: 0 }),
        ]) {
          assert.equal(failures.length, 1)
          assert.ok(failures[0]?.error instanceof LeaseLostError)
          assert.equal(failures[0].error.id, stale.id)
        }
        assert.deepEqual(await backend.lease({ seconds: 30, max: 1, waitSeconds: 0 }), [])
        assert.deepEqual(await backend.delete([fresh], { tally: true }), [])
      }))

    test('keeps a renewed lease past its first end', () =>
      withQueue({}, async backend => {
        await insertAll(backend, makeMessages(1))
        const lease = only(await backend.lease({ seconds: 3, max: 1, waitSeconds: 0 }))
        assert.deepEqual(await backend.renew([lease], 30), [])
        assert.deepEqual(await backend.lease({ seconds: 30, max: 1, waitSeconds: 4 }), [])
        assert.deepEqual(await backend.delete([lease], { tally: true }), [])
      }))

    test('refuses changes of released and deleted leases', () =>
      withQueue({}, async backend => {
        await insertAll(backend, makeMessages(2))
        const [first, second] = await backend.lease({ seconds: 30, max: 2, waitSeconds: 0 })
        assert.ok(first && second)
        assert.deepEqual(await backend.release([first], { delaySeconds: 60 }), [])
        assert.deepEqual(await backend.delete([second], { tally: true }), [])
        const failures = await backend.delete([first, second], { tally: true })
        assert.deepEqual(
          failures.map(({ index, error }) => [index, error.name]),
          [
            [0, 'LeaseLostError'],
            [1, 'LeaseLostError'],
          ],
        )
      }))

    test('processes other leases of a batch when one is lost', () =>
      withQueue({}, async backend => {
        await insertAll(backend, makeMessages(12))
        const leases = await backend.lease({ seconds: 30, max: 12, waitSeconds: 0 })
        assert.equal(leases.length, 12)
        assert.deepEqual(await backend.delete(leases.slice(4, 5), { tally: true }), [])
        const failures = await backend.delete(leases, { tally: true })
        assert.deepEqual(
          failures.map(failure => failure.index),
          [4],
        )
        const { enqueued } = await backend.counts()
        assert.equal(enqueued, 0)
      }))

    test('hides a delayed message until its delay is over', () =>
      withQueue({}, async backend => {
        await insertAll(backend, makeMessages(3), 1)
        assert.deepEqual(await backend.lease({ seconds: 30, max: 10, waitSeconds: 0 }), [])
        assert.equal((await backend.counts()).delayed, 3)
        only(await backend.lease({ seconds: 30, max: 1, waitSeconds: 20 }))
      }))

    test('returns the counts that SQS has, and NaN for others', () =>
      withQueue({}, async backend => {
        await insertAll(backend, makeMessages(5))
        let counts = await backend.counts()
        // The counts of SQS are approximate: local-aws-sqs counts a message as delayed in the millisecond of its
        // arrival.
        while (counts.delayed > 0) counts = await backend.counts()
        assert.equal(counts.enqueued, 5)
        assert.equal(counts.leased, 0)
        assert.deepEqual([counts.inserted, counts.completed, counts.quarantined], [Number.NaN, Number.NaN, Number.NaN])
        await backend.lease({ seconds: 30, max: 2, waitSeconds: 0 })
        assert.equal((await backend.counts()).leased, 2)
      }))

    test('purges by draining, and reports what it could not reach', () =>
      withQueue({}, async backend => {
        await insertAll(backend, makeMessages(40))
        await backend.purge({ native: false })
        assert.equal((await backend.counts()).enqueued, 0)
        await insertAll(backend, makeMessages(2))
        only(await backend.lease({ seconds: 30, max: 1, waitSeconds: 0 }))
        await assert.rejects(backend.purge({ native: false }), /can't be leased \(1 leased, 0 delayed\)/)
      }))

    test('limits batches by bytes too', () =>
      withQueue({}, async backend => {
        const messages = makeMessages(10, 'x'.repeat(300_000))
        await insertAll(backend, messages)
        assert.deepEqual(sorted(await drain(backend)), sorted(messages))
      }))

    test('refuses messages that SQS would refuse, by name, and stores the rest', () =>
      withQueue({}, async backend => {
        const good = makeMessages(1)
        const bad = ['', 'x'.repeat(1_048_577), 'a\u0000b', 'lone \ud800', '\ufffe'].map((body, n) => ({
          id: `bad-${n}`,
          body,
        }))
        const failures = await backend.insert([...bad, ...good], { delaySeconds: 0 })
        assert.deepEqual(
          failures.map(({ index, error }) => [index, error.message.slice(0, 22)]),
          bad.map(({ id }, index) => [index, `Expected \`message ${id}\` `.slice(0, 22)]),
        )
        assert.match(failures[2]?.error.message ?? '', /U\+0000 at 1/)
        assert.deepEqual(
          await drain(backend),
          good.map(message => message.body),
        )
      }))

    test('refuses delays, leases and waits that SQS does not support', () =>
      withQueue({}, async backend => {
        const messages = makeMessages(1)
        for (const delaySeconds of [901, -1, 0.5, Number.NaN]) {
          await assert.rejects(
            backend.insert(messages, { delaySeconds }),
            /Expected `delaySeconds` to be an integer from 0 to 900/,
          )
        }
        for (const seconds of [0, 43_201, 1.5]) {
          await assert.rejects(
            backend.lease({ seconds, max: 1, waitSeconds: 0 }),
            /Expected `seconds` to be an integer from 1 to 43200/,
          )
          await assert.rejects(backend.renew([], seconds), /Expected `seconds`/)
        }
        await assert.rejects(backend.lease({ seconds: 1, max: 0, waitSeconds: 0 }), /Expected `max`/)
        await assert.rejects(backend.lease({ seconds: 1, max: 1, waitSeconds: -1 }), /Expected `waitSeconds`/)
        await assert.rejects(backend.release([], { delaySeconds: 901 }), /Expected `delaySeconds`/)
        assert.deepEqual(await drain(backend), [])
      }))

    test('FIFO: gives every message its own group, and stores one message per id', () =>
      withQueue({ fifo: true }, async backend => {
        const messages = makeMessages(10)
        await insertAll(backend, messages)
        await insertAll(backend, messages.slice(0, 3))
        const leases = await backend.lease({ seconds: 30, max: 10, waitSeconds: 0 })
        assert.deepEqual(leases.map(lease => lease.id).sort(), messages.map(message => message.id).sort())
        assert.deepEqual(sorted(leases), sorted(messages))
        assert.deepEqual(await backend.delete(leases, { tally: true }), [])
        assert.deepEqual(await drain(backend), [])
        await assert.rejects(backend.insert(messages, { delaySeconds: 1 }), UnsupportedOperationError)
      }))

    test('ends a waiting lease call on close', () =>
      withQueue({}, async backend => {
        const waiting = backend.lease({ seconds: 30, max: 10, waitSeconds: 600 })
        await backend.close()
        assert.deepEqual(await waiting, [])
      }))
  })
}
