/** Half a minute of torture as a test; `npm run torture` runs for any time. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { torture } from './chaos.js'
import type { Fixture } from './fixtures.js'
import { describeMachine } from './machine.js'
import { reportOf } from './report.js'
import { makeElsewhere } from './second-filesystem.js'

/** However slow the machine is, there are so many. */
const KILLS = 15

/** Runs the torture for half a minute and asserts that every promise was kept. The folder stays where one was broken. */
export async function shortTorture(
  t: TestContext,
  makeFixture: (folder: string, seed: number, elsewhere: string) => Fixture | Promise<Fixture>,
): Promise<void> {
  const date = new Date()
  const folder = await mkdtemp(join(tmpdir(), 'ptq-torture-'))
  const seed = date.getTime() % 1_000_000
  const elsewhere = await makeElsewhere(folder)
  const { close, ...fixture } = await makeFixture(folder, seed, elsewhere)
  t.after(close)
  const result = await torture({
    ...fixture,
    folder,
    workers: 2,
    minutes: 0.5,
    kills: KILLS,
    everyMs: 600,
    seed,
    say: line => t.diagnostic(line),
  })
  const occasion = { command: 'npm test', machine: describeMachine(folder), date, seed, interrupted: false }
  for (const line of reportOf(result, occasion).split('\n')) t.diagnostic(line)
  assert.deepEqual(result.violations, [], `the queues, the ledger and what the processes printed are in ${folder}`)
  assert.ok(result.tasks > 0 && result.killed >= KILLS)
  for (const path of [elsewhere, folder]) await rm(path, { recursive: true })
}
