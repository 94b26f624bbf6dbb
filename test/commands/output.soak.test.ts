// Commands that write 10 GB: to a queue's log, to what is kept until it is printed, and to a reader.
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { FunctionTask, TaskQueue } from 'ptq'
import { ended, inFolder, outputOf, startCli } from '../cli/run-cli.js'

const bytes = 10 * 2 ** 30
const command = ['head', '-c', '10G', '/dev/zero']

/** Above what a process of `ptq` has without any output. MB. */
const maxPeakMb = 250

/** The most resident memory that a process has had so far, sampled until it ends; 0 where the system doesn't tell. MB. */
function peakOf(child: ChildProcess): () => number {
  let peakMb = 0
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
      peakMb = Math.max(peakMb, Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024)
    } catch {
      // It has ended, or the system has no /proc.
    }
  }, 50)
  child.once('close', () => clearInterval(timer))
  return () => peakMb
}

test('a worker keeps 10 MB of the 10 GB that a command writes, in flat memory', () =>
  inFolder(async cwd => {
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    await queue.insert(new FunctionTask(['ptq.commands', 'run'], [command], {}))
    const worker = startCli(['poll', 'q', '--commands', '--until-empty'], { cwd })
    const peakMb = peakOf(worker)
    assert.equal((await ended(worker)).code, 0)
    assert.equal(await queue.enqueued(), 0)
    const logs = join(cwd, 'q/logs')
    const sizes = readdirSync(logs).map(name => statSync(join(logs, name)).size)
    assert.equal(Math.max(...sizes), 10_000_000)
    const index = readdirSync(logs).find(name => name.endsWith('.index')) ?? ''
    assert.match(
      readFileSync(join(logs, index), 'utf8'),
      new RegExp(`exit code 0; ${bytes - 10_000_000} bytes of output`),
    )
    assert.ok(peakMb() < maxPeakMb, `${peakMb()} MB`)
  }))

test('ptq run ends a command that writes more than it keeps; its file is gone', () =>
  inFolder(async cwd => {
    mkdirSync(join(cwd, 'tmp'))
    const child = startCli(['run', '-j1', '--max-output-mb', '100', ...command, ':::', '/dev/zero'], {
      cwd,
      env: { TMPDIR: join(cwd, 'tmp') },
    })
    const peakMb = peakOf(child)
    let read = 0
    child.stdout.on('data', (chunk: Buffer) => {
      read += chunk.length
    })
    let stderr = ''
    child.stderr.on('data', chunk => {
      stderr += chunk
    })
    assert.equal(await new Promise(resolve => child.once('close', resolve)), 1)
    assert.equal(read, 100_000_000)
    assert.match(stderr, /Expected at most 100 MB of output to keep until the command ends/)
    assert.deepEqual(readdirSync(join(cwd, 'tmp')), [])
    assert.ok(peakMb() < maxPeakMb, `${peakMb()} MB`)
  }))

test('ptq run --line-buffer gives all 10 GB to a reader that begins late, in flat memory', () =>
  inFolder(async cwd => {
    const script = `echo begin; ${command.join(' ')}`
    const child = startCli(['run', '-j1', '--line-buffer', '--shell', `${script}; : {}`, ':::', 'x'], { cwd })
    const peakMb = peakOf(child)
    await outputOf(child, 'begin\n')
    let read = 0
    child.stdout.on('data', (chunk: Buffer) => {
      read += chunk.length
    })
    assert.equal(await new Promise(resolve => child.once('close', resolve)), 0)
    assert.ok(read <= bytes && read > bytes - 2 ** 20, `${read} bytes after those of the first chunk`)
    assert.ok(peakMb() < maxPeakMb, `${peakMb()} MB`)
  }))
