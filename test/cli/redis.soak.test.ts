import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { TaskQueue } from 'ptq'
import { opener as sqs } from '#ptq/backends/sqs/index.js'
import { noServer, type RedisServer, startServer } from '../redis/server.js'
import { ACCESS } from '../sqs/queue.js'
import { startServer as startSqs } from '../sqs/server.js'
import { ended, inFolder, payloadLines, runCli, runSqs, startCli, until } from './run-cli.js'

const skip = noServer
const tasks = join(import.meta.dirname, 'marking-tasks.js')
const password = 'secret-0815'
let server: RedisServer

before(async () => {
  if (!skip) server = await startServer(['--requirepass', password])
})
after(async () => {
  if (!skip) await server.stop()
})

function urlOf(queue: string): string {
  return server.url(queue).replace('//', `//:${password}@`)
}

test('every command works on a Redis queue, and prints no password', { skip }, () =>
  inFolder(async folder => {
    const env = { PTQ_TEST_FOLDER: folder }
    const jobs = urlOf('jobs')
    const shown = server.url('jobs')
    const run = async (...args: string[]) => {
      const input = args[0] === 'insert' ? payloadLines(3) + payloadLines(2, 'fail') : ''
      const result = await runCli(args, { cwd: folder, env, input })
      assert.ok(!`${result.stdout}${result.stderr}`.includes(password), result.stdout + result.stderr)
      return result
    }
    assert.match((await run('ls', jobs)).stderr, /Expected a queue at redis:.*, found none: check its name/)
    assert.deepEqual(await run('insert', jobs, '-'), {
      code: 0,
      stdout: `Inserted 5 tasks into ${shown}\n`,
      stderr: '',
    })
    const listed = (await run('ls', jobs, '--json')).stdout.trim().split('\n')
    assert.equal(listed.length, 5)

    // A worker that was killed: its leases are released by hand.
    await using tq = new TaskQueue(jobs, { progress: false })
    const [held] = await tq.lease({ numTasks: 2 })
    assert.ok(held)
    assert.match((await run('status', jobs)).stdout, /^Leased: 2 /m)
    assert.match((await run('release', jobs)).stdout, /2 tasks/)
    assert.match((await run('show', jobs, held.id)).stdout, new RegExp(held.id))

    const poll = ['poll', jobs, '--load', tasks, '--tally', '--until-empty', '--max-attempts', '1']
    const worked = await run(...poll)
    assert.equal(worked.code, 1, worked.stderr)
    assert.match(worked.stderr, /2 tasks failed for good: see ptq failures redis:\/\/…@127/)
    assert.deepEqual(readFileSync(join(folder, 'log'), 'utf8').trim().split('\n').sort(), ['0', '1', '2'])
    const { enqueued, inserted, completed, failed } = JSON.parse((await run('status', jobs, '--json')).stdout)
    assert.deepEqual({ enqueued, inserted, completed, failed }, { enqueued: 0, inserted: 5, completed: 3, failed: 2 })
    assert.match((await run('failures', jobs)).stdout, /RangeError: broken 0/)
    assert.match((await run('retry', jobs)).stdout, /2 tasks|2 dead letters/)
    assert.match((await run('rezero', jobs)).stderr, /^$/)
    assert.deepEqual([await tq.inserted(), await tq.completed(), await tq.enqueued()], [0, 0, 2])

    // To another queue of the server, exactly; to a folder and back.
    const moved = await run('mv', jobs, urlOf('others'))
    assert.match(moved.stdout, /^Moved 2 tasks from redis:/)
    assert.match((await run('cp', urlOf('others'), './copies')).stdout, /^Copied 2 tasks/)
    assert.match((await run('mv', './copies', jobs)).stdout, /^Moved 2 tasks/)
    assert.equal(await tq.enqueued(), 2)
    assert.match((await run('purge', jobs, '--yes')).stdout, /Deleted 2 tasks/)
    assert.equal(await tq.enqueued(), 0)
  }),
)

test('tasks go to SQS and back, byte for byte', { skip }, () =>
  inFolder(async folder => {
    const server = await startSqs('fauxqs')
    const more = { ...ACCESS, endpoint: server.endpoint, createIfMissing: true }
    await (await sqs.open({ protocol: 'sqs', path: 'remote' }, more)).close()
    await using tq = new TaskQueue(urlOf('local'), { progress: false })
    await tq.insert([{ class: 'A', txt: 'é🚀' }])
    const [before] = await tq.list()
    const flags = ['--endpoint', server.endpoint, '--region', 'us-east-1']
    const there = await runSqs(['mv', urlOf('local'), 'sqs://remote', ...flags], folder)
    assert.match(there.stdout, /^Moved 1 task /)
    assert.equal(await tq.enqueued(), 0)
    const back = await runSqs(['mv', 'sqs://remote', urlOf('local'), ...flags], folder)
    assert.match(back.stdout, /^Moved 1 task /)
    const [after] = await tq.list()
    assert.deepEqual([after?.id, after?.payload()], [before?.id, before?.payload()])
    await server.close()
  }),
)

test('a stopped worker releases its tasks', { skip }, () =>
  inFolder(async folder => {
    await using tq = new TaskQueue(urlOf('stopped'), { progress: false })
    const lines = payloadLines(6, 'linger').trim().split('\n')
    await tq.insert(lines.map(line => JSON.parse(line)))
    const args = ['poll', urlOf('stopped'), '--load', tasks, '--parallel', '2', '--tally']
    const worker = startCli(args, { env: { PTQ_TEST_FOLDER: folder } })
    const end = ended(worker)
    const log = join(folder, 'log')
    await until(() => existsSync(log) && readFileSync(log, 'utf8').split('\n').length > 2)
    await until(async () => {
      const running = (await tq.workers()).flatMap(status => status.running)
      return running.length === 2 && running.every(({ note }) => note === 'half way')
    })
    worker.kill('SIGTERM')
    await until(async () => (await tq.leased()) <= 2)
    writeFileSync(join(folder, 'go'), '')
    const { code, stderr } = await end
    assert.equal(code, 143, stderr)
    assert.deepEqual([await tq.leased(), await tq.completed(), await tq.enqueued()], [0, 2, 4])
    for (const task of await tq.lease({ numTasks: 4 })) assert.equal(task.attempt, 1)
  }),
)
