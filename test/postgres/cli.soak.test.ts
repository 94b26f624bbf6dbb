import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { partial, TaskQueue } from 'ptq'
import { noServer, PASSWORD, type PostgresServer, startServer } from '../../bench/postgres/server.js'
import { type CliResult, runCli } from '../cli/run-cli.js'
import { ACCESS } from '../sqs/queue.js'
import { startServer as startSqs } from '../sqs/server.js'
import { newName } from './queue.js'
import { count, fail } from './tasks.js'

const tasksFile = join(import.meta.dirname, 'tasks.js')

describe('ptq on a queue in PostgreSQL', { skip: await noServer(), concurrency: 2 }, () => {
  let server: PostgresServer
  let folder: string
  before(async () => {
    server = await startServer()
    folder = await mkdtemp(join(tmpdir(), 'ptq-postgres-cli-'))
  })
  after(async () => {
    await server.close()
    await rm(folder, { recursive: true })
  })

  const ptq = async (...args: string[]): Promise<CliResult> => {
    const result = await runCli(args, { env: { PGPASSWORD: PASSWORD } })
    assert.doesNotMatch(result.stdout + result.stderr, /hunter2/)
    return result
  }
  const urlOf = (name: string) => server.url(name).replace(`:${PASSWORD}`, '')
  const succeeds = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await ptq(...args)
    assert.equal(code, 0, stderr)
    return stdout
  }

  it('every command works: status, ls, show, poll, failures, retry, release, rezero, purge', async () => {
    const name = newName()
    const url = urlOf(name)
    assert.match((await ptq('ls', url)).stderr, /Expected a queue at postgres:.*, found none: check its name/)
    await using tq = new TaskQueue(server.url(name))
    await tq.insert([partial(count, 1), partial(count, 2), partial(fail)])
    assert.match(await succeeds('status', url), /Enqueued: +3/)
    const lines = (await succeeds('ls', url)).trim().split('\n')
    assert.equal(lines.length, 3)
    const [id = ''] = lines[0]?.split('\t') ?? []
    assert.match(await succeeds('show', url, id), /postgres-tasks/)
    const options = ['--load', tasksFile, '--parallel', '0', '--until-empty', '--max-attempts', '1', '--tally']
    const polled = await ptq('poll', url, ...options)
    assert.match(polled.stderr, /1 task failed for good/)
    assert.equal(polled.code, 1)
    assert.match(await succeeds('failures', url), /RangeError: always/)
    const status = JSON.parse(await succeeds('status', url, '--json'))
    assert.deepEqual([status.enqueued, status.inserted, status.completed], [0, 3, 2])
    assert.match(await succeeds('retry', url), /Put 1 task back/)
    await tq.lease({ seconds: 600 })
    assert.match(await succeeds('release', url), /Released 1 task/)
    await succeeds('rezero', url)
    await succeeds('purge', url, '--yes')
    assert.deepEqual([await tq.enqueued(), await tq.inserted(), await tq.completed()], [0, 0, 0])
  })

  it('mv and cp carry tasks between PostgreSQL, a folder and SQS', async t => {
    const sqs = await startSqs('fauxqs')
    t.after(() => sqs.close())
    const [one, two] = [newName(), newName()]
    const path = join(folder, one)
    const onSqs = `sqs://${one}`
    const sqsOptions = { ...ACCESS, endpoint: sqs.endpoint, createIfMissing: true, emptyWindowSeconds: 0 }
    await using tq = new TaskQueue(server.url(one))
    await using other = new TaskQueue(server.url(two))
    const tasks = Array.from({ length: 20 }, (_, index) => partial(count, index))
    await tq.insert(tasks)
    const idsOf = async (queue: TaskQueue) => (await queue.list()).map(({ id }) => id).sort()
    const ids = await idsOf(tq)
    assert.match(await succeeds('cp', urlOf(one), path), /Copied 20 tasks/)
    assert.match(await succeeds('cp', path, urlOf(one)), /Copied 0 tasks/)
    assert.match(await succeeds('mv', urlOf(one), urlOf(two)), /Moved 20 tasks/)
    assert.deepEqual([await tq.enqueued(), await idsOf(other)], [0, ids])
    const flags = ['--endpoint', sqs.endpoint, '--region', 'us-east-1', '--create-if-missing']
    await succeeds('mv', urlOf(two), onSqs, ...flags)
    await using queue = new TaskQueue(onSqs, sqsOptions)
    assert.equal(await queue.enqueued(), 20)
    await succeeds('mv', onSqs, urlOf(two), ...flags)
    assert.deepEqual(await idsOf(other), ids)
    assert.match(await succeeds('mv', path, urlOf(two)), /Moved 20 tasks/)
    assert.deepEqual(await idsOf(other), ids, 'the same ids are the same tasks')
    const same = await ptq('mv', urlOf(two), urlOf(two).replace('postgres:', 'postgresql:'))
    assert.equal(same.code, 2)
  })
})
