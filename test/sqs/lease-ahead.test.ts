import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { context, partial, queueable } from 'ptq'
import { redriveTo, useProxiedServer } from './proxied-server.js'

const ran = new Set<number>()
let whenRunning: () => void = () => undefined

const short = queueable(function shortOnSqs(n: number): void {
  ran.add(n)
})

/** Ends on its signal, unless `isOver`. */
const long = queueable(async function longOnSqs(n: number): Promise<void> {
  if (isOver) {
    ran.add(n)
    return
  }
  const { signal } = context()
  whenRunning()
  if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve))
})
let isOver = false

const SOON = { minBackoffWindow: 0.01, maxBackoffWindow: 0.01, parallel: 0, untilEmpty: true } as const

describe('tasks that a worker prefetches on SQS', () => {
  const sqs = useProxiedServer()
  afterEach(() => ran.clear())

  test('are leased and deleted in batches if they are short', async () => {
    const tq = sqs.newQueue()
    await tq.insert(Array.from({ length: 1_000 }, (_, n) => partial(short, n)))
    sqs.proxy.requests.length = 0
    assert.equal(await tq.poll(SOON), 1_000)
    const requests = ['ReceiveMessage', 'DeleteMessageBatch', 'SendMessageBatch', 'ChangeMessageVisibilityBatch']
    const counts = requests.map(action => sqs.proxy.count(action))
    const [receives = 0, deletes = 0, ...others] = counts
    assert.deepEqual(others, [0, 0])
    // Near 200 on an idle machine. A pause of this process counts as long tasks, of which fewer are prefetched; one by
    // one they would cost 2,000.
    assert.ok(receives + deletes <= 600, `${receives} receives, ${deletes} deletes`)
  })

  test('are not received so often that a redrive policy takes them when five workers are stopped', async () => {
    const letters = sqs.newQueue()
    assert.equal(await letters.enqueued(), 0)
    const tq = await sqs.newQueueWith(redriveTo(letters, 3))
    await tq.insert(Array.from({ length: 59 }, (_, n) => partial(long, n)))
    let leased = 0
    tq.events.on('leased', () => leased++)
    isOver = false
    for (let stops = 0; stops < 5; stops++) {
      const stop = new AbortController()
      whenRunning = () => stop.abort()
      await tq.poll({ ...SOON, graceSeconds: 0.01, signal: stop.signal })
    }
    assert.equal(leased, 5)
    isOver = true
    assert.equal(await tq.poll(SOON), 59)
    assert.equal(ran.size, 59)
    assert.equal(await letters.enqueued(), 0)
  })
})
