import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import { partial, queueable } from 'ptq'
import { useProxiedServer } from './proxied-server.js'

const work = queueable(function workBesideRefused(): number {
  return 1
})

const failLong = queueable(function failWithLongReason(reason: string, _large: string): void {
  throw new RangeError(reason.repeat(500))
})

const SOON = { parallel: 0, minBackoffSeconds: 0.01, maxBackoffSeconds: 0.01 } as const

describe('a worker continues when SQS refuses', () => {
  const sqs = useProxiedServer()
  const warnings: string[] = []
  const onWarning = (warning: Error & { code?: string }) => {
    if (warning.code === 'PTQ_TASK_REFUSED') warnings.push(warning.message)
  }

  before(() => process.on('warning', onWarning))
  afterEach(() => {
    warnings.length = 0
  })
  after(() => process.off('warning', onWarning))

  test('the history of a dead letter for its size: it keeps the last reason, its beginning, or none', async () => {
    // The limit of SQS, the bytes of the envelope and the payload, and the rest for the history.
    const limit = 1_048_576
    for (const [left, reasons] of [
      [5_000, [1_000, 1_000]],
      [1_800, [1_000]],
      [600, [100]],
      [50, []],
    ] as const) {
      const [tq, letters] = [sqs.newQueue(), sqs.newQueue()]
      const overhead =
        '{"payload": [["refused.test", "failWithLongReason"], ["xy", ""], {}, -1], "queueName": "", "id": ""}'
      const large = 'x'.repeat(limit - left - overhead.length - tq.url.length + 'sqs://'.length - 36)
      await tq.insert([partial(failLong, 'xy', large), partial(work)])
      const poll = { ...SOON, maxAttempts: 2, deadLetter: letters.url, untilEmpty: true }
      assert.equal(await tq.poll(poll), 1)
      assert.equal(await tq.enqueued(), 0)
      const [letter, ...others] = await letters.lease({ numTasks: 10 })
      assert.deepEqual(others, [])
      assert.deepEqual(
        letter?.failures.map(({ reason }) => reason.length),
        reasons,
        `with ${left} bytes left`,
      )
    }
  })

  test('a dead letter: it stays in the queue, with a warning', async () => {
    const [tq, letters] = [sqs.newQueue(), await sqs.newQueueWith({ MaximumMessageSize: '1024' })]
    await tq.insert([partial(failLong, 'xy', 'x'.repeat(2_000)), partial(work)])
    const stopFn = ({ executed, failed }: { executed: number; failed: number }) => executed === 1 && failed > 0
    assert.equal(await tq.poll({ ...SOON, maxAttempts: 1, deadLetter: letters.url, stopFn }), 1)
    assert.equal(await tq.enqueued(), 1)
    assert.match(
      warnings[0] ?? '',
      /failWithLongReason .* was refused, sqs:\S+ doesn't take it as a dead letter: .*1024/,
    )
  })

  test('the release of one message: the task is available when its lease expires', async () => {
    const tq = sqs.newQueue()
    await tq.insert([partial(failLong, 'xy', ''), partial(work)])
    // The first is for the message that is sent again, without its failures for the next one; the last for making it visible.
    const refused = { kind: 'partial', places: [0], code: 'InvalidParameterValue', senderFault: true } as const
    let armed = false
    tq.events.on('leased', () => {
      if (armed) return
      armed = true
      sqs.proxy.rules.push({ action: 'SendMessageBatch', times: 2, ...refused })
      sqs.proxy.rules.push({ action: 'ChangeMessageVisibilityBatch', times: 1, ...refused })
    })
    const stopFn = ({ executed, failed }: { executed: number; failed: number }) => executed === 1 && failed === 1
    assert.equal(await tq.poll({ ...SOON, maxAttempts: 3, leaseSeconds: 60, stopFn }), 1)
    assert.equal(await tq.enqueued(), 1)
    assert.match(warnings[0] ?? '', /was refused, it comes back when its lease ends: .*InvalidParameterValue/)
  })
})
