// The page on queues that servers keep.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, describe, it } from 'node:test'
import { partial, TaskQueue } from 'ptq'
import { noServer as noPostgres, PASSWORD, startServer as startPostgres } from '../../bench/postgres/server.js'
import { assertMetrics, noPromtool } from '../metrics/promtool.js'
import { noServer as noRedis, startServer as startRedis } from '../redis/server.js'
import { newTaskQueue } from '../sqs/queue.js'
import { startServer as startSqs } from '../sqs/server.js'
import { Served } from './served.js'
import { sampleWhere } from './stream.js'
import { fail, quick } from './tasks.js'

interface Engine {
  readonly name: string
  readonly skip: string | false
  /** Resolves with a new queue, and what ends its server. */
  start(): Promise<{ url(queue: string): string; stop(): Promise<void> }>
}

const engines: readonly Engine[] = [
  {
    name: 'postgres',
    skip: await noPostgres(),
    start: async () => {
      const { url, close } = await startPostgres()
      return { url, stop: close }
    },
  },
  {
    name: 'redis',
    skip: noRedis,
    start: () => startRedis(),
  },
]

for (const { name, skip, start } of engines) {
  describe(`the page on ${name}`, { skip }, () => {
    it('shows counts, tasks and groups of failures; a group is retried; no password is sent', async () => {
      const server = await start()
      after(() => server.stop())
      await using queue = new TaskQueue(server.url('jobs'), { progress: false })
      await queue.insert(Array.from({ length: 12 }, (_, n) => partial(fail, `disk ${n} is full`)))
      await queue.poll({ parallel: 0, untilEmpty: true, maxAttempts: 1 })
      await queue.insert(Array.from({ length: 5 }, (_, n) => partial(quick, n)))
      await queue.insert([partial(quick, 6)], { delaySeconds: 3_600 })
      const texts: string[] = []
      {
        await using served = await Served.start(queue, { actions: true })
        const cookie = await served.signIn()
        const { counts } = await sampleWhere(served, cookie, 0, each => each.counts !== undefined)
        assert.deepEqual([counts?.waiting, counts?.enqueued, counts?.failed, counts?.running], [5, 6, 12, 0])
        const report = await served.read<{ groups: { reason: string; count: number }[] }>('/failures?queue=0', cookie)
        assert.deepEqual(
          report.groups.map(({ reason, count }) => [reason, count]),
          [['Error: disk … is full', 12]],
        )
        const { tasks } = await served.read<{ tasks: { id: string; state: string }[] }>(
          '/tasks?queue=0&state=delayed',
          cookie,
        )
        assert.deepEqual(
          tasks.map(({ state }) => state),
          ['delayed'],
        )
        const found = await served.read<{ id: string }>(`/task?queue=0&id=${tasks[0]?.id.slice(0, 13)}`, cookie)
        assert.equal(found.id, tasks[0]?.id)
        const { text } = await served.act('/do/retry?queue=0', cookie, { group: 'Error: disk … is full' })
        assert.equal(text.trim(), '{"done":"Put 12 tasks back into the queue"}')
        await sampleWhere(served, cookie, 0, each => each.counts?.waiting === 17 && each.counts.failed === 0)
        for (const path of ['/queues', '/metrics', '/tasks?queue=0&state=ready']) {
          texts.push((await served.ask(path, { headers: { Cookie: cookie } })).text)
        }
        if (noPromtool === undefined) assertMetrics(texts[1] ?? '')
      }
      assert.doesNotMatch(texts.join('\n'), new RegExp(PASSWORD))
    })
  })
}

describe('the page on SQS', () => {
  it('shows approximate counts, and says what SQS can’t tell; reading leases nothing', async () => {
    const server = await startSqs('fauxqs')
    after(() => server.close())
    {
      await using queue = newTaskQueue(server.endpoint)
      await queue.insert(Array.from({ length: 5 }, (_, n) => partial(quick, n)))
      await using served = await Served.start(queue, { actions: true })
      const cookie = await served.signIn()
      const { counts } = await sampleWhere(served, cookie, 0, each => each.counts?.waiting === 5)
      assert.deepEqual([counts?.approximate, counts?.inserted, counts?.running], [true, null, 0])
      for (const path of ['/failures?queue=0', '/tasks?queue=0&state=ready', `/task?queue=0&id=${randomUUID()}`]) {
        const { status, text } = await served.ask(path, { headers: { Cookie: cookie } })
        assert.equal(status, 501, `${path}: ${text}`)
        assert.match(text, /has no dead letters of its own|can't list/)
      }
      const metrics = await served.ask('/metrics')
      assert.match(metrics.text, /^ptq_queue_messages\{queue="sqs:\S+",state="ready"\} 5$/m)
      assert.doesNotMatch(metrics.text, /ptq_queue_inserted_total/)
      if (noPromtool === undefined) assertMetrics(metrics.text)
      // Nothing was leased by looking.
      assert.equal((await queue.lease({ seconds: 60, numTasks: 5 })).length, 5)
    }
  })
})
