import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'

const MAIN = join(import.meta.dirname, '../bench/main.js')

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', env: { ...process.env, PTQ_PYTHON: undefined } })

describe('the bench', () => {
  it('measures every local row, and says of each target whether it was reached', () => {
    const { stdout, stderr, status } = bench('--scope', 'local', '--n', '40', '--rounds', '1', '--json')
    assert.equal(stderr, '')
    assert.equal(status, 0)
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.ok(rows.length >= 4)
    for (const { scope, results, verdicts } of rows) {
      assert.equal(scope, 'local')
      assert.ok(results.length >= 1 && verdicts.length >= 1)
      for (const { contender, seconds, tasksPerSecond, cpuMicrosPerTask, rssPeakMb } of results) {
        for (const number of [seconds, tasksPerSecond, cpuMicrosPerTask, rssPeakMb]) {
          assert.ok(number > 0 && Number.isFinite(number), contender)
        }
      }
      for (const { measured, reached } of verdicts) assert.ok(Number.isFinite(measured) && typeof reached === 'boolean')
    }
  })

  it('refuses a scope without rows and a count that is none, and says how it is used', () => {
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
