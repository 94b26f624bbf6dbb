import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TaskQueue } from 'ptq'
import { inFolder, payloadLines, runCli, runProcess } from './run-cli.js'

test('--processes: a task that fills the heap aborts its process each time and becomes a dead letter; all others run', () =>
  inFolder(async folder => {
    const healthy = 40
    const input = payloadLines(1, 'growMap') + payloadLines(healthy)
    await runCli(['insert', 'queue', '-'], { cwd: folder, input })
    const args = ['--processes', '2', '--parallel', '0', '--until-empty', '--max-attempts', '1', '--lease-sec', '2']
    const { code, stdout, stderr } = await runProcess(
      ['poll', 'queue', '--load', join(import.meta.dirname, 'marking-tasks.js'), '--max-backoff-sec', '1', ...args],
      { cwd: folder, env: { PTQ_TEST_FOLDER: folder, NODE_OPTIONS: '--max-old-space-size=40' } },
    )
    assert.match(stderr, /JavaScript heap out of memory/)
    assert.match(stdout, /Z Process \d+ was killed by SIGABRT: another one starts in 1s\n/)
    assert.equal(code, 1)
    const ran = readFileSync(join(folder, 'log'), 'utf8').trim().split('\n')
    assert.equal(new Set(ran).size, healthy)
    await using queue = new TaskQueue(`fq://${folder}/queue`)
    assert.deepEqual([await queue.enqueued(), await queue.failed()], [0, 1])
    for await (const { name } of queue.failures()) assert.equal(name, 'tasks.growMap')
  }))
