import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'

const MAIN = join(import.meta.dirname, '../bench/simulation/main.js')

function scale(...args: string[]): string {
  const { stdout, stderr, status } = spawnSync(process.execPath, [MAIN, '--sqs', '0', ...args], { encoding: 'utf8' })
  assert.equal(stderr, '')
  assert.equal(status, 0)
  return stdout.trimEnd()
}

describe('the simulation of many workers', () => {
  const whole = ['--workers', '1,20', '--queued', '400', '--task-seconds', '1']

  it('drains a queue with each task once, and gives the same run for the same seed', () => {
    const findings = () =>
      scale(...whole, '--json')
        .split('\n')
        .map(line => {
          const { realSeconds, peakMb, ...finding } = JSON.parse(line)
          assert.ok(realSeconds > 0 && peakMb > 0)
          return finding
        })
    const [one, twenty, ...more] = findings()
    assert.deepEqual(more, [])
    // A worker that drains the whole queue fails unless all tasks have run and been counted, and nothing is left.
    assert.deepEqual([one.tasks, twenty.tasks], [400, 400])
    assert.ok(one.tasksPerSecond > 0.9 && one.tasksPerSecond < 1.1)
    assert.ok(twenty.tasksPerSecond > 10 && twenty.tasksPerSecond < 21)
    assert.equal(one.lostPerLease, 0)
    // Over a network a task takes two renames, a read and a removal; its count is shared.
    const { rename, read, unlink } = one.callsPerTask
    assert.ok(rename >= 2 && read >= 1 && unlink >= 1, JSON.stringify(one.callsPerTask))
    assert.ok(one.requestsPerTask > 5 && one.requestsPerTask < 8, `${one.requestsPerTask} requests a task`)
    assert.deepEqual(findings(), [one, twenty])
  })

  it('prints earlier results as a table and as charts', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ptq-scale-'))
    const [from, svg] = [join(folder, 'found.json'), join(folder, 'curves.svg')]
    writeFileSync(from, `${scale(...whole, '--json')}\n`)
    const table = scale('--from', from, '--svg', svg).split('\n')
    assert.equal(table.length, 3)
    assert.match(table[0] ?? '', /lost\/lease/)
    const drawn = readFileSync(svg, 'utf8')
    assert.ok(drawn.startsWith('<svg') && !drawn.includes('NaN'))
    rmSync(folder, { recursive: true })
  })
})
