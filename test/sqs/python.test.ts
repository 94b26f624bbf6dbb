import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFileSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { GetQueueUrlCommand, SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs'
import { FunctionTask, queueable, RegisteredTask, registerTask, type TaskQueue } from 'ptq'
import { FaultProxy } from './fault-proxy.js'
import { ACCESS, newTaskQueue } from './queue.js'
import { type SqsServer, startServer } from './server.js'

// The same names as in python/python_tasks.py.
queueable(
  function note(n: number | bigint, ledger: string, { who }: { who: string }): void {
    appendFileSync(ledger, `ptq: ${n} from ${who}\n`)
  },
  { module: 'python_tasks', name: 'note' },
)

class NoteTask extends RegisteredTask<{ n: number | string; ledger: string }> {
  execute(): void {
    appendFileSync(this.args.ledger, `ptq: ${this.args.n} from a class\n`)
  }
}
registerTask(NoteTask)

const WHO = '世 😀'
const NUMBERS = [...Array.from({ length: 25 }, (_, n) => n), 2n ** 64n - 1n, 0.5]
const SOON = { minBackoffSeconds: 0.01, maxBackoffSeconds: 0.01 }

/** The content of the ledger when one side has run all tasks of the other. */
const ledgerOf = (side: 'ptq' | 'python', name: string) =>
  [...NUMBERS.map(n => `${side}: ${n} from ${WHO}`), `${side}: ${name} from a class`].sort()

const readLedger = (path: string) => readFileSync(path, 'utf8').trimEnd().split('\n').sort()

describe('queues on SQS are shared with Python', () => {
  // It also speaks the old protocol, the only one of boto3 until 1.29.
  let server: SqsServer
  let proxy: FaultProxy
  let folder: string
  let tq: TaskQueue
  before(async () => {
    server = await startServer('local-aws-sqs')
    proxy = await FaultProxy.start(server.endpoint)
    folder = await mkdtemp(join(tmpdir(), 'ptq-python-'))
    tq = newTaskQueue(proxy.endpoint)
    assert.equal(await tq.enqueued(), 0)
  })
  after(async () => {
    await tq.close()
    await proxy.close()
    await server.close()
    await rm(folder, { recursive: true })
  })

  const tasksFor = (ledger: string) => [
    ...NUMBERS.map(n => new FunctionTask(['python_tasks', 'note'], [n, ledger], { who: WHO })),
    new NoteTask({ n: 'π', ledger }),
  ]

  test("bodies sent by Python's TaskQueue run", async () => {
    const ledger = join(folder, 'from-fixture')
    // Each line as boto3 got it, but for the ledger's path.
    const bodies = readFileSync(join(FIXTURES, 'bodies.jsonl'), 'utf8').trimEnd().replaceAll('LEDGER', ledger)
    const client = new SQSClient({ ...ACCESS, endpoint: server.endpoint })
    const { QueueUrl } = await client.send(new GetQueueUrlCommand({ QueueName: nameOf(tq) }))
    const Entries = bodies.split('\n').map((MessageBody, n) => ({ Id: String(n), MessageBody, DelaySeconds: 0 }))
    for (let start = 0; start < Entries.length; start += 10) {
      const { Failed } = await client.send(
        new SendMessageBatchCommand({ QueueUrl, Entries: Entries.slice(start, start + 10) }),
      )
      assert.deepEqual(Failed ?? [], [])
    }
    client.destroy()
    assert.equal(await tq.poll({ ...SOON, parallel: 0, untilEmpty: true }), 28)
    assert.deepEqual(readLedger(ledger), ledgerOf('ptq', 'π'))
    assert.equal(await tq.enqueued(), 0)
  })

  test('an insert sends the same JSON as Python, with an id, in ASCII', async () => {
    proxy.requests.length = 0
    await tq.insert(tasksFor('LEDGER'))
    const sent = proxy.requests
      .filter(({ action }) => action === 'SendMessageBatch')
      .flatMap(({ body }) => (body.Entries ?? []) as readonly { MessageBody?: string }[])
      .map(({ MessageBody = '' }) => MessageBody)
    for (const text of sent) assert.match(text, /^[\x20-\x7e]+$/)
    const python = readFileSync(join(FIXTURES, 'bodies.jsonl'), 'utf8').trimEnd().split('\n')
    // Python puts a receipt handle in place of the id. Except for spaces, the text is the same, including numbers
    // beyond 2^53.
    const same = (text: string) => text.replaceAll(/, (?=["[{\d-])/g, ',').replaceAll(/": /g, '":')
    const withoutId = (text: string) => same(text).replace(/,"id":"[0-9a-f-]{36}"/, '')
    assert.deepEqual(
      sent.map(withoutId).sort(),
      python.map(text => same(text).replace('"shared"', `"${nameOf(tq)}"`)).sort(),
    )
    await tq.purge({ native: false })
  })

  const python = process.env.PTQ_PYTHON
  if (python === undefined) {
    test('stored bodies of Python run where PTQ_PYTHON, a Python that can import taskqueue, is not set', t =>
      t.diagnostic('the two tests with Python itself are left out'))
    return
  }

  async function runPython(...args: string[]): Promise<string> {
    const env = {
      ...process.env,
      // Python's package makes folders in the home.
      HOME: folder,
      AWS_ACCESS_KEY_ID: 'AKIATEST',
      AWS_SECRET_ACCESS_KEY: 'test-secret',
      PYTHONDONTWRITEBYTECODE: '1',
    }
    // Not compiled, so it stays beside the sources.
    const script = join(import.meta.dirname, '../../../test/sqs/python/side.py')
    const { stdout } = await promisify(execFile)(python ?? '', [script, ...args], { env, timeout: 120_000 })
    return stdout.trim()
  }

  test('tasks inserted by Python run in ptq', async () => {
    const ledger = join(folder, 'from-python')
    assert.equal(await runPython('insert', tq.url, server.endpoint, ledger), '28')
    assert.equal(await tq.poll({ ...SOON, parallel: 0, untilEmpty: true }), 28)
    assert.deepEqual(readLedger(ledger), ledgerOf('ptq', 'π'))
  })

  test('tasks inserted by ptq run in Python', async () => {
    const ledger = join(folder, 'to-python')
    assert.equal(await tq.insert(tasksFor(ledger)), 28)
    assert.match(await runPython('run', tq.url, server.endpoint, '28'), /28$/)
    assert.deepEqual(readLedger(ledger), ledgerOf('python', 'π'))
    assert.equal(await tq.enqueued(), 0)
  })
})

const FIXTURES = join(import.meta.dirname, '../../../test/fixtures/python-sqs')

const nameOf = (tq: TaskQueue) => tq.url.slice('sqs://'.length)
