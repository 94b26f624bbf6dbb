// What the page reads and does, on queues of each kind.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { describe, it } from 'node:test'
import { partial, TaskQueue } from 'ptq'
import { assertMetrics, noPromtool } from '../metrics/promtool.js'
import { inFolder, Served } from './served.js'
import { sampleWhere } from './stream.js'
import { fail, quick } from './tasks.js'

interface Report {
  readonly total: number
  readonly groups: readonly { readonly reason: string; readonly count: number; readonly ids: readonly string[] }[]
}

interface Task {
  readonly id: string
  readonly state: string
  readonly name: string
  readonly payload: string
  readonly failures: readonly { readonly reason: string; readonly stack?: string }[]
}

async function withQueue(kind: string, work: (queue: TaskQueue, folder: string) => Promise<void>): Promise<void> {
  await inFolder(async folder => {
    await using queue = new TaskQueue(kind === 'fq' ? `fq://${folder}/queue` : `mem://${randomUUID()}`, {
      progress: false,
    })
    await work(queue, folder)
  })
}

const hostile = '<script>alert(1)</script>\u001b[2J\u202e\u2066"\u0000'

for (const kind of ['fq', 'mem']) {
  describe(`the page on ${kind}`, () => {
    it('failures are grouped, a group is retried whole, and an example has payload and stack', () =>
      withQueue(kind, async queue => {
        const reasons = [...Array.from({ length: 30 }, (_, n) => `disk ${n} is full`), 'no network', hostile]
        await queue.insert(reasons.map(reason => partial(fail, reason)))
        await queue.poll({ parallel: 0, untilEmpty: true, maxAttempts: 1 })
        await using served = await Served.start(queue, { actions: true })
        const cookie = await served.signIn()
        const report = await served.read<Report>('/failures?queue=0', cookie)
        assert.deepEqual(
          report.groups.slice(0, 1).map(({ reason, count, ids }) => [reason, count, ids.length]),
          [['Error: disk … is full', 30, 5]],
        )
        assert.equal(report.total, 32)
        const id = report.groups[0]?.ids[0] ?? ''
        const task = await served.read<Task>(`/task?queue=0&state=failed&id=${id}`, cookie)
        assert.deepEqual([task.id, task.state, task.name], [id, 'failed', 'tiles.fail'])
        assert.match(task.failures[0]?.stack ?? '', /^Error: disk \d+ is full\n {4}at /)

        const shown = await served.ask('/failures?queue=0', { headers: { Cookie: cookie } })
        assert.doesNotMatch(
          JSON.parse(shown.text)
            .groups.map(({ text }: { text: string }) => text)
            .join(),
          /\p{Cc}|\p{Bidi_Control}/u,
        )

        const { status, text } = await served.act('/do/retry?queue=0', cookie, { group: 'Error: disk … is full' })
        assert.deepEqual([status, JSON.parse(text)], [200, { done: 'Put 30 tasks back into the queue' }])
        assert.deepEqual([await queue.failed(), await queue.enqueued()], [2, 30])
        const after = await served.read<Report>('/failures?queue=0', cookie)
        assert.equal(after.total, 2)
      }))

    it('tasks are listed some at a time, by state, and found by the beginning of an id', () =>
      withQueue(kind, async queue => {
        await queue.insert(Array.from({ length: 120 }, (_, n) => partial(quick, n)))
        await queue.insert([partial(quick, -1)], { delaySeconds: 3_600 })
        await queue.lease({ seconds: 60, numTasks: 3 })
        await using served = await Served.start(queue)
        const cookie = await served.signIn()
        const ids = new Set<string>()
        let path = '/tasks?queue=0&state=ready'
        for (;;) {
          const { tasks, list } = await served.read<{ tasks: Task[]; list?: string }>(path, cookie)
          assert.ok(tasks.length <= 50)
          for (const { id, state } of tasks) {
            assert.equal(state, 'ready')
            ids.add(id)
          }
          if (list === undefined) break
          path = `/tasks?queue=0&state=ready&list=${list}`
        }
        assert.equal(ids.size, 117)
        const { tasks } = await served.read<{ tasks: Task[] }>('/tasks?queue=0&state=delayed', cookie)
        const [delayed] = tasks
        assert.equal(delayed?.payload, '[["tiles","quick"],[-1],{},-1]')
        const found = await served.read<Task>(`/task?queue=0&id=${delayed?.id.slice(0, 13)}`, cookie)
        assert.equal(found.id, delayed?.id)
        assert.equal((await served.ask('/task?queue=0&id=zzz', { headers: { Cookie: cookie } })).status, 404)
        assert.equal((await served.ask('/tasks?queue=0&state=odd', { headers: { Cookie: cookie } })).status, 400)
        assert.equal((await served.ask('/tasks?queue=0&list=gone', { headers: { Cookie: cookie } })).status, 410)
        // Looking has leased nothing.
        assert.equal(await queue.leased(), 3)
      }))

    it('each action says what it did', () =>
      withQueue(kind, async queue => {
        await using served = await Served.start(queue, { actions: true })
        const cookie = await served.signIn()
        const act = async (name: string, body: object) => {
          const { status, text } = await served.act(`/do/${name}?queue=0`, cookie, body)
          return [status, text.trim()]
        }
        const lines = '[["tiles","quick"],[12345678901234567890],{},-1]\n\n{"class":"PrintTask"}\n'
        assert.deepEqual(await act('insert', { lines }), [200, '{"done":"Inserted 2 tasks"}'])
        const [, refused] = await act('insert', { lines: '{"class":"A"}\n7' })
        assert.match(String(refused), /^Nothing was inserted: line 2 is no payload/)
        assert.equal(await queue.enqueued(), 2)
        const payloads = (await queue.list()).map(({ payloadText }) => payloadText)
        assert.ok(
          payloads.some(text => text.includes('12345678901234567890')),
          'every digit stays',
        )
        await queue.lease({ seconds: 60, numTasks: 1 })
        assert.deepEqual(await act('release', {}), [200, '{"done":"Released 1 task"}'])
        assert.equal((await act('purge', {}))[0], 400)
        assert.deepEqual(await act('purge', { confirm: queue.url }), [
          200,
          '{"done":"Deleted all tasks; dead letters stayed"}',
        ])
        assert.equal(await queue.enqueued(), 0)
      }))
  })
}

describe('the page', () => {
  it('shows a queue that does not exist yet, then its tasks, and that it is gone when it is removed', () =>
    withQueue('fq', async (queue, folder) => {
      await using other = new TaskQueue(`mem://${randomUUID()}`, { progress: false })
      await using served = await Served.start([other, queue])
      const cookie = await served.signIn()
      const missing = await sampleWhere(served, cookie, 1, ({ isMissing }) => isMissing)
      assert.match(missing.problem ?? '', /^There is no queue at fq:\S+queue \(yet\)$/)
      await queue.insert([partial(quick, 1)])
      await sampleWhere(served, cookie, 1, ({ counts }) => counts?.waiting === 1)
      rmSync(`${folder}/queue`, { recursive: true })
      await sampleWhere(served, cookie, 1, ({ isMissing }) => isMissing)
      await using again = new TaskQueue(queue.url, { progress: false })
      await again.insert([partial(quick, 1), partial(quick, 2)])
      const back = await sampleWhere(served, cookie, 1, ({ counts }) => counts?.waiting === 2)
      assert.equal(back.problem, undefined)
      if (noPromtool === undefined) assertMetrics((await served.ask('/metrics')).text)
    }))

  it('tasks of packs are counted, and in how many messages they are', () =>
    withQueue('fq', async queue => {
      await queue.insert(
        Array.from({ length: 250 }, (_, n) => partial(quick, n)),
        { pack: 100 },
      )
      await using served = await Served.start(queue)
      const { counts } = await sampleWhere(served, await served.signIn(), 0, ({ counts }) => counts !== undefined)
      assert.deepEqual([counts?.waiting, counts?.enqueued, counts?.messages], [250, 250, 3])
    }))
})
