import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { partial } from 'ptq'
import { note } from './poll-tasks.js'
import { newTaskQueue } from './queue.js'
import { startServer } from './server.js'
import { startWorker } from './worker-process.js'

// PTQ_TEST_SQS_TASKS=100000 runs so many: minutes where other tests run beside it.
const TASKS = Number(process.env.PTQ_TEST_SQS_TASKS ?? 10_000)

function* notes(ledger: string) {
  for (let n = 0; n < TASKS; n++) yield partial(note, n, ledger)
}

test('two processes with two threads each drain a queue while one is killed: every task runs, none is left', async t => {
  const server = await startServer('fauxqs')
  const folder = await mkdtemp(join(tmpdir(), 'ptq-sqs-'))
  const ledger = join(folder, 'ledger')
  const { endpoint } = server
  const tq = newTaskQueue(endpoint)
  // Makes the queue.
  assert.equal(await tq.enqueued(), 0)

  // Tasks of the killed process return when its leases expire; the survivor's are renewed.
  const poll = { parallel: 2, leaseSeconds: 8 }
  const victim = startWorker({ queue: tq.url, endpoint, poll, sayAfter: TASKS / 10 })
  const survivor = startWorker({ queue: tq.url, endpoint, poll })
  // Inserted while they work: fauxqs slows down when very many messages wait.
  const inserted = tq.insert(notes(ledger))
  assert.equal(await victim.nextLine(), `${TASKS / 10} tasks succeeded`)
  victim.child.kill('SIGKILL')
  assert.deepEqual(await victim.ended, { code: null, signal: 'SIGKILL' })
  assert.equal(await inserted, TASKS)
  await tq.blockUntilEmpty({ intervalSeconds: 0.1 })
  survivor.child.kill('SIGTERM')
  assert.deepEqual(await survivor.ended, { code: 143, signal: null })

  const runs = (await readFile(ledger, 'utf8')).trimEnd().split('\n')
  const ran = new Set(runs.map(run => Number(run.split(' ')[0])))
  const processes = new Set(runs.map(run => Number(run.split(' ')[1])))
  assert.equal(ran.size, TASKS)
  assert.deepEqual(processes, new Set([victim.child.pid, survivor.child.pid]))
  assert.equal((await tq.status()).enqueued, 0)
  t.diagnostic(`${TASKS} tasks, ${runs.length - TASKS} of them run twice`)

  await tq.close()
  await server.close()
  await rm(folder, { recursive: true })
})
