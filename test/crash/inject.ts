/** Runs a scenario with a fault at each of its calls in turn. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type FileQueueOptions, open } from '#ptq/backends/fq/index.js'
import { fastDisk } from '../fq/folder.js'
import { settableClock } from '../fq/test-files.js'
import { type Fault, FaultyFiles } from './faulty-files.js'
import { checkRecovery } from './recovery.js'
import type { Fixture, Scenario } from './scenarios.js'

export type FaultKind = Pick<Fault, 'moment' | 'kind'>

/**
 * Runs the scenario once for each of its calls and each kind of fault, each time in a new queue.
 *
 * @returns how often
 */
export async function injectFaults(
  scenario: Scenario,
  kinds: readonly FaultKind[],
  options: FileQueueOptions,
): Promise<number> {
  let runs = 0
  for (const kind of kinds) {
    for (let at = 1; await runWith(scenario, { ...kind, at }, options); at++) runs++
  }
  assert.ok(runs > 0)
  return runs
}

/** False: the scenario has fewer calls. */
async function runWith(scenario: Scenario, fault: Fault, options: FileQueueOptions): Promise<boolean> {
  const folder = mkdtempSync(join(fastDisk, 'ptq-crash-'))
  const root = join(folder, 'queue-of-test')
  const url = { protocol: 'fq', path: root }
  const { clock, options: clockOptions } = settableClock()
  const pass = (seconds: number) => {
    clock.seconds += seconds
  }
  const healthy = await open(url, { ...options, ...clockOptions })
  const fixture: Fixture = { root, queue: healthy, pass, before: [], during: [], leases: [], released: 0 }
  await scenario.prepare(fixture)

  const files = new FaultyFiles(clockOptions.fileSystem, fault)
  const victim = await open(url, { ...options, ...clockOptions, fileSystem: files.fileSystem })
  files.arm()
  let failed = false
  try {
    failed = ((await scenario.act(victim, fixture)) ?? []).length > 0
  } catch {
    failed = true
  }
  const { wasInjected } = files
  try {
    if (!failed) await scenario.settled?.(healthy, fixture)
    if (fault.kind !== 'dies') await victim.close()
    await files.release()
    const fresh = await open(url, { ...options, ...clockOptions })
    await checkRecovery(fresh, scenario, fixture)
    await fresh.close()
  } catch (cause) {
    const where = `${fault.kind} ${fault.moment} call ${fault.at}, ${files.calls[fault.at - 1]}`
    throw new Error(`${scenario.name}: ${where}: ${String(cause)} (the queue is in ${folder})`, { cause })
  }
  await healthy.close()
  rmSync(folder, { recursive: true })
  return wasInjected
}
