// The sweep example as a process: the table, and the same one again without training anything.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { it } from 'node:test'
import { TaskQueue } from 'ptq'
import { inFolder } from '../cli/run-cli.js'

const sweep = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, '../../examples/sweep/main.js'), ...args], {
    encoding: 'utf8',
    timeout: 120_000,
  })

it('the sweep example collects each combination into one table, best first, and continues under its name', () =>
  inFolder(async folder => {
    const first = sweep(join(folder, 'q'))
    assert.deepEqual([first.stderr, first.status], ['', 0])
    const [head, ...rows] = first.stdout.trimEnd().split('\n')
    assert.equal(head, 'rate,momentum,seed,errors,loss')
    assert.equal(rows.length, 36)
    assert.equal(new Set(rows.map(row => row.split(',').slice(0, 3).join())).size, 36)
    const losses = rows.map(row => Number(row.split(',')[4]))
    assert.deepEqual(
      losses,
      losses.toSorted((one, other) => one - other),
    )
    assert.match(rows.at(-1) ?? '', /^0\.01,/, 'the slowest rate has learned least')
    // All outcomes are there: without a worker it ends, too.
    const again = sweep(join(folder, 'q'), '0')
    assert.deepEqual([again.stdout, again.stderr, again.status], [first.stdout, '', 0])
    await using queue = new TaskQueue(`fq://${folder}/q`)
    assert.deepEqual([await queue.inserted(), await queue.enqueued()], [36, 0])
  }))
