import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Target } from '../bench/row.js'
import { judge } from '../bench/target.js'

const MAIN = join(import.meta.dirname, '../bench/main.js')

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', env: { ...process.env, PTQ_PYTHON: undefined } })

/** The rows that are printed. */
function measured(...args: string[]) {
  const { stdout, stderr, status } = bench(...args, '--json')
  assert.equal(stderr, '')
  assert.equal(status, 0)
  return stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
}

describe('the bench', () => {
  for (const scope of ['local', 'fq', 'sqs', 'latency', 'commands']) {
    it(`measures every row of ${scope}, and says for each target whether it was reached`, () => {
      const rows = measured('--scope', scope, '--n', '40', '--rounds', '1')
      assert.ok(rows.length >= (scope === 'commands' ? 1 : 3))
      for (const { scope: measuredScope, title, results, verdicts } of rows) {
        assert.equal(measuredScope, scope)
        assert.ok(results.length >= 1)
        for (const { contender, seconds, tasksPerSecond, cpuMicrosPerTask, rssPeakMb, ...more } of results) {
          for (const number of [seconds, tasksPerSecond, cpuMicrosPerTask, rssPeakMb]) {
            assert.ok(number > 0 && Number.isFinite(number), contender)
          }
          if (scope === 'latency') assert.ok(more.p50Ms > 0 && more.p99Ms >= more.p50Ms, contender)
          if (title.includes('received')) assert.ok(more.requestsPerTask >= 0.2, contender)
          if (contender.endsWith('workers')) assert.ok(more.lostRenames >= 0 && more.lostRenames < 1, contender)
        }
        for (const { measured, reached } of verdicts) {
          // Not measured: the rival is Python, which isn't there.
          assert.equal(typeof reached, measured === null ? 'undefined' : 'boolean')
        }
      }
    })
  }

  it('prints for each target whether it was reached, missed or not measured', () => {
    const { stdout, status } = bench('--scope', 'fq', '--n', '40', '--rounds', '1')
    assert.equal(status, 0)
    assert.match(stdout, /^ {2}not measured {2}at least 6 × Python, 40 threads$/m)
    assert.match(stdout, /\n\d+ targets: \d+ reached, \d+ missed, 2 not measured \(Python's need PTQ_PYTHON\)\n$/)
  })

  it('reports an unmeasured target as a missing competitor or as a fault', () => {
    const contenders = [
      { name: 'ours', program: 'ours.js' },
      { name: 'theirs', program: 'theirs.py' },
    ]
    const base = { scope: 'local', title: 'a row', n: 1, contenders } as const
    const nothing = { rounds: 1, seconds: 1, cpuMicrosPerTask: 1, rssPeakMb: 1, rssGrowthMb: 1 }
    const absent = { p50Ms: undefined, p99Ms: undefined, lostRenames: undefined, firstMs: undefined }
    const ours = { contender: 'ours', n: 1, tasksPerSecond: 2, ...nothing, ...absent, mainShare: undefined }
    const verdictsOf = (target: Target) =>
      judge({
        row: { ...base, targets: [target] },
        place: '/',
        results: [{ ...ours, requestsPerTask: undefined }],
      })
    assert.equal(verdictsOf({ kind: 'times', rival: 'theirs', atLeast: 2 })[0]?.reached, undefined)
    assert.equal(verdictsOf({ kind: 'tasksPerSecond', atLeast: 2 })[0]?.reached, true)
    for (const fault of [
      { kind: 'times', rival: 'thiers', atLeast: 2 },
      { kind: 'requestsPerTask', atMost: 1 },
      { kind: 'lostRenames', under: 1 },
    ] as const) {
      assert.throws(() => verdictsOf(fault), /^Error: Expected a measurement for ".*" of "a row", got none$/)
    }
  })

  it('refuses a scope without rows and an invalid count, and prints its usage', () => {
    for (const args of [['--scope', 'nothing'], ['--n', '0'], ['--rounds', 'x'], ['--what']]) {
      const { stdout, stderr, status } = bench(...args)
      assert.equal(status, 1)
      assert.equal(stdout, '')
      assert.match(stderr, /^(Expected --|Unknown option '--what')[\s\S]*Usage: npm run bench/)
    }
    const help = bench('--help')
    assert.equal(help.status, 0)
    assert.match(help.stdout, /^Usage: npm run bench/)
  })
})
