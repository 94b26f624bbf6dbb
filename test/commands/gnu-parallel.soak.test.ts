// `ptq run` as a process, beside GNU parallel itself where it is installed.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { mainPath } from '../cli/run-cli.js'
import {
  expectedOutcomes,
  type ParallelCase,
  parallelCases,
  parallelFiles,
  type Recorded,
  recordedOutcomes,
  recordedPath,
  sortedLines,
  withoutTimes,
} from './parallel-cases.js'

const missing = 'GNU parallel is not installed: apt-get install parallel'
const hasParallel =
  spawnSync('parallel', ['--version'], { encoding: 'utf8' }).stdout?.startsWith('GNU parallel') === true

function outcome(command: string, args: readonly string[], { stdin = '', sorted, joblog }: ParallelCase): Recorded {
  const cwd = mkdtempSync(join(tmpdir(), 'ptq-parallel-'))
  try {
    for (const [name, text] of Object.entries(parallelFiles)) writeFileSync(join(cwd, name), text)
    const { stdout, status, error } = spawnSync(command, args, { cwd, input: stdin, encoding: 'utf8', timeout: 60_000 })
    if (error !== undefined) throw error
    const log =
      joblog && existsSync(join(cwd, 'jobs')) ? withoutTimes(readFileSync(join(cwd, 'jobs'), 'utf8')) : undefined
    return {
      stdout: sorted ? sortedLines(stdout) : stdout,
      ...(log !== undefined && { joblog: log }),
      failed: status !== 0,
    }
  } finally {
    rmSync(cwd, { recursive: true })
  }
}

test('GNU parallel prints the recorded output', { skip: hasParallel ? false : missing }, () => {
  const outcomes = Object.fromEntries(parallelCases.map(each => [each.name, outcome('parallel', each.args, each)]))
  if (process.env.PTQ_RECORD !== undefined) writeFileSync(recordedPath, `${JSON.stringify(outcomes, null, 1)}\n`)
  assert.deepEqual(outcomes, recordedOutcomes())
})

test('ptq run, as a process, prints the same output', () => {
  const recorded = recordedOutcomes()
  const ours: Record<string, Recorded> = {}
  // All of them run without a process of their own in the other test; here, the way through the command line is what counts.
  for (const each of parallelCases.filter((_, index) => index % 3 === 0)) {
    const args = [mainPath, 'run', ...(each.shell ? ['--shell'] : []), ...each.args]
    ours[each.name] = outcome(process.execPath, args, each)
  }
  const expected = expectedOutcomes(recorded)
  for (const [name, found] of Object.entries(ours)) assert.deepEqual(found, expected[name], name)
})
