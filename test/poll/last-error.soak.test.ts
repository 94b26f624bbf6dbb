import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type PollOptions, partial, type TaskQueue } from 'ptq'
import { inFolder, runCli } from '../cli/run-cli.js'
import { failThenKill as failThenKillOnSqs } from '../sqs/poll-tasks.js'
import { newTaskQueue } from '../sqs/queue.js'
import { startServer } from '../sqs/server.js'
import { startWorker } from '../sqs/worker-process.js'
import { WorkerProcess } from './processes.js'
import { onEach } from './queues.js'
import { failThenKill } from './tasks.js'

const poll = { minBackoffSeconds: 0.05, maxBackoffSeconds: 0.1, untilEmpty: true, maxAttempts: 2 } as const

const reason = /^RangeError: no space left; the attempts are over: 1 failed, in 1 the worker died/

/** Restarts a worker whenever it dies, like a supervisor, until it ends normally. */
async function supervise(start: () => Promise<number | NodeJS.Signals | null>): Promise<void> {
  for (;;) {
    const end = await start()
    if (end === 0) return
    assert.equal(end, 'SIGKILL')
  }
}

async function reasonsOf(tq: TaskQueue, deadLetter: string): Promise<string[]> {
  const reasons: string[] = []
  for await (const { failures } of tq.failures({ deadLetter })) for (const { reason } of failures) reasons.push(reason)
  return reasons
}

describe('a task that failed and then killed its workers', { concurrency: true }, () => {
  onEach(
    'has its error as the reason and is found by it; its history is shown after a retry',
    async queue => {
      const tq = queue.open()
      await tq.insert(partial(failThenKill, join(queue.folder, 'mark')))
      const [listed] = await tq.list()
      assert.ok(listed)
      const options: PollOptions = { ...poll, leaseSeconds: 1 }
      await supervise(() => new WorkerProcess(queue.url, options).end)
      const cli = async (...args: string[]) => (await runCli(args)).stdout
      assert.match((await cli('failures', queue.url)).split('\t')[3] ?? '', reason)
      assert.equal(await cli('retry', queue.url, '--match', 'no space left'), `Put 1 task back into ${queue.url}\n`)
      const shown = await cli('show', queue.url, listed.id)
      assert.match(
        shown,
        /^State: ready\n.*\n.*\nFailures: 2\n {2}1\. .*: RangeError: no space left\n {2}5\. .*no space left; the/m,
      )
    },
    ['fq'],
  )

  test('keeps its last error on SQS too', { timeout: 120_000 }, () =>
    inFolder(async folder => {
      const server = await startServer('fauxqs')
      const tq = newTaskQueue(server.endpoint)
      const deadLetter = `fq://${join(folder, 'failed')}`
      await tq.insert(partial(failThenKillOnSqs, join(folder, 'mark')))
      const order = { queue: tq.url, endpoint: server.endpoint, poll: { ...poll, leaseSeconds: 1, deadLetter } }
      await supervise(async () => {
        const { code, signal } = await startWorker(order).ended
        return code ?? signal
      })
      assert.ok(existsSync(join(folder, 'mark')))
      const reasons = await reasonsOf(tq, deadLetter)
      assert.equal(reasons[0], 'RangeError: no space left')
      assert.match(reasons[1] ?? '', reason)
      assert.equal(await tq.retry({ match: 'no space left', deadLetter }), 1)
      const [again] = await tq.lease({ waitSeconds: 20 })
      assert.deepEqual(
        again?.failures.map(({ reason }) => reason),
        reasons,
      )
      await tq.close()
      await server.close()
    }),
  )
})
