/** Plays a scenario with a trouble at each of its calls in turn. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type FileQueueOptions, open } from '#ptq/backends/fq/index.js'
import { fastDisk } from '../fq/folder.js'
import { settableClock } from '../fq/test-files.js'
import { checkAftermath } from './aftermath.js'
import type { Scenario, Scene } from './scenarios.js'
import { type Trouble, TroubledFiles } from './troubled-files.js'

export type TroubleKind = Pick<Trouble, 'moment' | 'kind'>

/**
 * Plays the scenario once for each of its calls and each kind of trouble, each time in a queue of its own.
 *
 * @returns how often
 */
export async function rehearse(
  scenario: Scenario,
  kinds: readonly TroubleKind[],
  options: FileQueueOptions,
): Promise<number> {
  let played = 0
  for (const kind of kinds) {
    for (let at = 1; await play(scenario, { ...kind, at }, options); at++) played++
  }
  assert.ok(played > 0)
  return played
}

/** False: the scenario has fewer calls. */
async function play(scenario: Scenario, trouble: Trouble, options: FileQueueOptions): Promise<boolean> {
  const folder = mkdtempSync(join(fastDisk, 'ptq-crash-'))
  const root = join(folder, 'queue-of-test')
  const url = { protocol: 'fq', path: root }
  const { clock, options: clockOptions } = settableClock()
  const pass = (seconds: number) => {
    clock.seconds += seconds
  }
  const healthy = await open(url, { ...options, ...clockOptions })
  const scene: Scene = { root, queue: healthy, pass, before: [], during: [], leases: [], released: 0 }
  await scenario.prepare(scene)

  const files = new TroubledFiles(clockOptions.fileSystem, trouble)
  const victim = await open(url, { ...options, ...clockOptions, fileSystem: files.fileSystem })
  files.arm()
  let failed = false
  try {
    failed = ((await scenario.act(victim, scene)) ?? []).length > 0
  } catch {
    failed = true
  }
  const { struck } = files
  try {
    if (!failed) await scenario.settled?.(healthy, scene)
    if (trouble.kind !== 'dies') await victim.close()
    await files.release()
    const fresh = await open(url, { ...options, ...clockOptions })
    await checkAftermath(fresh, scenario, scene)
    await fresh.close()
  } catch (cause) {
    const where = `${trouble.kind} ${trouble.moment} call ${trouble.at}, ${files.calls[trouble.at - 1]}`
    throw new Error(`${scenario.name}: ${where}: ${String(cause)} (the queue is in ${folder})`, { cause })
  }
  await healthy.close()
  rmSync(folder, { recursive: true })
  return struck
}
