import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { torture } from './chaos.js'
import { describeMachine } from './machine.js'
import { fileQueuesIn } from './part.js'
import { reportOf } from './report.js'

/** A short torture; `npm run torture` goes on for as long as it is told. */
const KILLS = 15

test(`${KILLS} kills of inserters, workers, movers and retriers lose nothing, and each duplicate has its reason`, async t => {
  const folder = await mkdtemp(join(tmpdir(), 'ptq-torture-'))
  const seed = Date.now() % 1_000_000
  const result = await torture({
    folder,
    queues: fileQueuesIn(folder),
    options: { progress: false },
    cast: { inserter: 1, uploader: 1, worker: 2, mover: 1, retrier: 1 },
    minutes: 0,
    kills: KILLS,
    everyMs: 500,
    seed,
    say: line => t.diagnostic(line),
  })
  const occasion = {
    command: 'npm test torture',
    machine: describeMachine(folder),
    date: new Date(),
    seed,
    interrupted: false,
  }
  for (const line of reportOf(result, occasion).split('\n')) t.diagnostic(line)
  assert.deepEqual(result.violations, [], `the queue, the ledger and what the processes printed are in ${folder}`)
  assert.ok(result.tasks > 0 && result.killed >= KILLS)
  await rm(folder, { recursive: true })
})
