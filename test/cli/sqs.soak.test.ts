import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { CreateQueueCommand, SQSClient } from '@aws-sdk/client-sqs'
import { TaskQueue } from 'ptq'
import { opener } from '#ptq/backends/sqs/index.js'
import { ACCESS } from '../sqs/queue.js'
import { type SqsServer, startServer } from '../sqs/server.js'
import { ended, inFolder, payloadLines, runCli, runSqs, startCli, until } from './run-cli.js'

let server: SqsServer
let options: string[]

before(async () => {
  server = await startServer('fauxqs')
  options = ['--endpoint', server.endpoint, '--region', 'us-east-1']
})
after(() => server.close())

async function makeQueue(name: string): Promise<void> {
  const more = { ...ACCESS, endpoint: server.endpoint, createIfMissing: true }
  await (await opener.open({ protocol: 'sqs', path: name }, more)).close()
}

test('insert, status, cp, poll and purge work on SQS; unknown numbers are printed as unknown', () =>
  inFolder(async folder => {
    await makeQueue('tasks')
    const run = (...args: string[]) => runSqs([...args, ...options], folder, payloadLines(3))
    assert.deepEqual(await run('insert', 'sqs://tasks', '-'), {
      code: 0,
      stdout: 'Inserted 3 tasks into sqs://tasks\n',
      stderr: '',
    })
    const text =
      'Enqueued: 3\nLeased: 0 (0.0% of enqueued)\nDelayed: 0 (0.0% of enqueued)\n' +
      'These counts are approximate\nThis queue does not count inserted and completed tasks\n'
    assert.deepEqual(await run('status', 'sqs://tasks'), { code: 0, stdout: text, stderr: '' })
    const { stdout } = await run('status', 'sqs://tasks', '--json')
    const { inserted, enqueued, failed, approximate } = JSON.parse(stdout)
    assert.deepEqual([inserted, enqueued, failed, approximate], [null, 3, null, true])

    const tasks = join(import.meta.dirname, 'marking-tasks.js')
    const child = startCli(['poll', 'sqs://tasks', '--load', tasks, ...options], { env: { PTQ_TEST_FOLDER: folder } })
    const end = ended(child)
    const log = join(folder, 'log')
    await until(() => existsSync(log) && readFileSync(log, 'utf8').split('\n').length > 3)
    child.kill('SIGTERM')
    const worked = await end
    assert.equal(worked.code, 143)
    assert.match(worked.stdout, /Ended: 3 executed, 0 failed/)

    await using local = new TaskQueue(`fq://${folder}/local`)
    await local.insert([{ class: 'A', txt: 'é🚀' }])
    // Another queue: the server notices only on its next answer that the client of the worker's long poll is gone.
    await makeQueue('copies')
    const copied = await run('cp', 'local', 'sqs://copies')
    assert.deepEqual([copied.code, copied.stderr], [0, ''])
    assert.match(
      copied.stdout,
      /^Copied 1 task from fq:\S+ to sqs:\/\/copies\nThe source holds 1 task, the destination about 1 task\n$/,
    )
    assert.deepEqual(await run('purge', 'sqs://copies', '--yes'), {
      code: 0,
      stdout: 'Deleted 1 task of sqs://copies\n',
      stderr: '',
    })
  }))

test('--max-attempts without dead letters prints one line at the start, and none for each task', () =>
  inFolder(async folder => {
    await makeQueue('failing')
    const client = new SQSClient({ ...ACCESS, endpoint: server.endpoint })
    const deadLetterTargetArn = 'arn:aws:sqs:us-east-1:000000000000:failing'
    const RedrivePolicy = JSON.stringify({ deadLetterTargetArn, maxReceiveCount: 7 })
    await client.send(new CreateQueueCommand({ QueueName: 'redriven', Attributes: { RedrivePolicy } }))
    client.destroy()
    for (const [name, expected] of [
      ['failing', /: a task that fails is tried again without limit\. .* pass a queue as --dead-letter QUEUE$/],
      ['redriven', /failed 7 times is left to the queue's own policy, which moves it after as many attempts more/],
    ] as const) {
      const insert = await runSqs(['insert', `sqs://${name}`, '-', ...options], folder, payloadLines(2, 'notThere'))
      assert.equal(insert.code, 0)
      const tasks = join(import.meta.dirname, 'marking-tasks.js')
      const flags = ['--load', tasks, '--max-attempts', '1', '--max-backoff-sec', '1', '--verbose']
      const child = startCli(['poll', `sqs://${name}`, ...flags, ...options], { env: { PTQ_TEST_FOLDER: folder } })
      const end = ended(child)
      let output = ''
      for (const stream of [child.stdout, child.stderr]) stream.on('data', data => (output += data))
      await until(() => output.split(/not registered/).length > 3 && output.includes('--max-attempts'))
      child.kill('SIGTERM')
      const { stderr } = await end
      const lines = stderr.split('\n').filter(line => line.includes('--max-attempts'))
      assert.equal(lines.length, 1, stderr)
      assert.match(lines[0] ?? '', expected)
    }
  }))

test('a command that SQS never supports is refused before credentials are read', () =>
  inFolder(async folder => {
    const env = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_EC2_METADATA_DISABLED: 'true', HOME: folder }
    for (const [args, reason] of [
      ['cp sqs://jobs there', /can't be copied: SQS can't list its tasks .*; ptq mv sqs:\/\/jobs there moves them/],
      ['ls sqs://jobs', /can't list its tasks/],
      ['show sqs://jobs id', /can't list its tasks/],
      ['release sqs://jobs', /can't release what others have leased/],
      ['rezero sqs://jobs', /keeps no counts/],
      ['failures sqs://jobs', /--dead-letter QUEUE/],
      ['retry sqs://jobs', /--dead-letter QUEUE/],
    ] as const) {
      const { code, stdout, stderr } = await runCli(args.split(' '), { cwd: folder, env })
      assert.match(stderr, reason)
      assert.deepEqual([code, stdout], [2, ''], args)
    }
  }))

test('an endpoint without a protocol is refused with what is missing', () =>
  inFolder(async folder => {
    for (const name of ['AWS_ENDPOINT_URL_SQS', 'AWS_ENDPOINT_URL']) {
      const env = {
        AWS_ACCESS_KEY_ID: 'x',
        AWS_SECRET_ACCESS_KEY: 'x',
        AWS_REGION: 'us-east-1',
        [name]: 'localhost:4566',
      }
      const { code, stderr } = await runCli(['status', 'sqs://jobs'], { cwd: folder, env })
      assert.match(
        stderr,
        new RegExp(`Expected .?${name}.? to be an http\\(s\\) URL .*\\(http:// is missing\\), got .*localhost:4566`),
      )
      assert.equal(code, 2)
    }
    const { stderr } = await runCli(['status', 'sqs://jobs', '--endpoint', 'localhost:4566'], { cwd: folder })
    assert.match(stderr, /Expected --endpoint to be an http\(s\) URL .*\(http:\/\/ is missing\)/)
  }))

test('what SQS does not support is refused with the reason and exit code 2; a missing queue is a failure', () =>
  inFolder(async folder => {
    await makeQueue('limited')
    for (const [args, reason] of [
      ['ls sqs://limited', /can't list its tasks/],
      ['show sqs://limited id', /can't list its tasks/],
      ['cp sqs://limited there', /can't list its tasks/],
      ['release sqs://limited', /can't release what others have leased/],
      ['rezero sqs://limited', /keeps no counts/],
      ['failures sqs://limited', /has no dead letters of its own/],
      ['retry sqs://limited', /has no dead letters of its own/],
      [`mv sqs://limited ${server.endpoint}/000000000000/limited`, /to be another queue than sqs:\/\/limited/],
    ] as const) {
      const { code, stdout, stderr } = await runSqs([...args.split(' '), ...options], folder)
      assert.match(stderr, /^ptq: [^\n]+\n$/)
      assert.match(stderr, reason)
      assert.deepEqual([code, stdout], [2, ''], args)
    }
    assert.equal(existsSync(join(folder, 'there')), false)
    const missing = await runSqs(['status', 'sqs://missing', ...options], folder)
    assert.deepEqual([missing.code, missing.stdout], [1, ''])
    assert.match(missing.stderr, /^ptq: [^\n]*missing[^\n]*\n$/)
    const made = await runSqs(['status', 'sqs://missing', '--create-if-missing', ...options], folder)
    assert.equal(made.code, 0)
  }))
