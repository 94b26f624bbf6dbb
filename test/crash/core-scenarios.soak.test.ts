import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fastDisk } from '../fq/folder.js'
import { namesIn } from '../fq/messages.js'
import { interfered, settableClock, systemError } from '../fq/test-files.js'
import { type CoreScenario, coreScenarios, otherPath, withQueues } from './core-scenarios.js'
import { type Fault, FaultyFiles } from './faulty-files.js'
import { packScenarios } from './pack-scenarios.js'

/** Past all leases. */
const LONG_SECONDS = 7 * 3600

/** Calls of one kind on files of one folder, one after the other, differ in little: only the first are tried. */
const SAME_CALLS = 2

/** Refuses renames from and to another filesystem than that of the first queue, as the system does. */
function refuseAcross(path: string) {
  const isOther = (file: string) => file.startsWith(`${otherPath(path)}/`)
  return (call: string, from: string, to: string) => {
    if (call === 'rename' && isOther(from) !== isOther(to)) throw systemError('EXDEV', from)
  }
}

async function runWith(
  { separate = false, leavesRecords = false, prepare, act, again }: CoreScenario,
  fault: Fault | undefined,
): Promise<readonly string[]> {
  const folder = mkdtempSync(join(fastDisk, 'ptq-journey-'))
  const path = join(folder, 'queue-of-test')
  const { clock, options } = settableClock()
  if (separate) {
    const blocking = refuseAcross(path)
    const pooled = async (call: string, from: string, to: string) => blocking(call, from, to)
    options.fileSystem = interfered({ clockMs: options.hostNowMs, blocking, pooled })
  }
  const pass = (seconds: number) => {
    clock.seconds += seconds
  }
  await withQueues(path, options, tq => prepare(tq, pass))
  const files = new FaultyFiles(options.fileSystem, fault)
  try {
    const died = withQueues(path, { ...options, fileSystem: files.fileSystem }, (tq, other) => {
      files.arm()
      return act(tq, other)
    })
    await died.catch((error: unknown) => {
      if (fault === undefined) throw error
    })
    await files.release()
    clock.seconds += LONG_SECONDS
    await withQueues(path, options, again)
    for (const root of [path, otherPath(path)]) {
      assert.deepEqual(
        namesIn(root, 'queue').filter(name => !name.startsWith('0--')),
        [],
      )
      for (const part of ['moved', 'arriving']) assert.deepEqual(namesIn(root, part), [], part)
      // A finished upload keeps its marker.
      const records = namesIn(root, 'movement').filter(name => !name.startsWith('upload.'))
      if (!leavesRecords) assert.deepEqual(records, [])
    }
  } catch (cause) {
    const where = fault && `${fault.moment} call ${fault.at}, ${files.calls[fault.at - 1]}`
    throw new Error(`death ${where}: ${String(cause)} (the queue is in ${folder})`, { cause })
  }
  rmSync(folder, { recursive: true })
  return files.calls
}

/** Indexes of the calls after which a death is tested. */
function placesOf(calls: readonly string[]): number[] {
  const seen = new Map<string, number>()
  return calls.flatMap((call, index) => {
    const kind = call.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '<id>').replace(/\d+--/g, '')
    const times = (seen.get(kind) ?? 0) + 1
    seen.set(kind, times)
    return times <= SAME_CALLS ? [index + 1] : []
  })
}

for (const scenario of [...coreScenarios, ...packScenarios]) {
  test(`a process death during or after any call of ${scenario.name} loses no task`, async t => {
    const places = placesOf(await runWith(scenario, undefined))
    for (const at of places) {
      for (const moment of ['half', 'after'] as const) await runWith(scenario, { kind: 'dies', moment, at })
    }
    t.diagnostic(`${places.length * 2} deaths`)
  })
}
