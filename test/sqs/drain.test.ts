import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { opener } from '#ptq/backends/sqs/index.js'
import { ACCESS, deferred, insertAll } from './queue.js'
import { startServer } from './server.js'

const WORKER = fileURLToPath(import.meta.resolve('./drain-worker.js'))

/** Starts a worker; `onRun` gets each body that it ran. */
function startWorker(args: string[], onRun: (body: string) => void): ChildProcess {
  const child = spawn(process.execPath, [WORKER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  createInterface({ input: child.stdout }).on('line', onRun)
  return child
}

test('two processes drain a queue; one is killed at work: every message is run, none is left', async () => {
  const server = await startServer('fauxqs')
  const name = `drain-${randomUUID()}`
  const backend = await opener.open(
    { protocol: 'sqs', path: name },
    { ...ACCESS, endpoint: server.endpoint, createIfMissing: true },
  )
  const bodies = Array.from({ length: 2_000 }, (_, n) => `body ${n}`)
  await insertAll(
    backend,
    bodies.map((body, n) => ({ id: String(n), body })),
  )
  const ran = new Set<string>()
  const doomedRan = deferred()
  const doomed = startWorker([server.endpoint, name], body => {
    ran.add(body)
    doomedRan.resolve()
  })
  const survivor = startWorker([server.endpoint, name], body => ran.add(body))
  const gone = Promise.all([once(doomed, 'close'), once(survivor, 'close')])
  await doomedRan.promise
  doomed.kill('SIGKILL')
  const [[, signal], [exitCode]] = await gone
  assert.equal(signal, 'SIGKILL')
  assert.equal(exitCode, 0)
  assert.equal(ran.size, bodies.length)
  assert.equal((await backend.counts()).enqueued, 0)
  await backend.close()
  await server.close()
})
