import assert from 'node:assert/strict'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TaskQueue } from 'ptq'
import { type CliResult, ended, inFolder, payloadLines, runCli, startCli, until } from './run-cli.js'

const tasks = join(import.meta.dirname, 'marking-tasks.js')

async function fill(folder: string, payloads: string): Promise<void> {
  const { code, stderr } = await runCli(['insert', 'queue', '-'], { cwd: folder, input: payloads })
  assert.deepEqual([code, stderr], [0, ''])
}

interface Supervisor {
  readonly child: ChildProcessWithoutNullStreams
  readonly end: Promise<CliResult>
  /** The output of the command and its processes so far. */
  output(): string
  /** The worker processes that have begun, in their order. */
  pids(): number[]
}

function poll(folder: string, ...args: string[]): Supervisor {
  const all = ['poll', 'queue', '--load', tasks, '--max-backoff-sec', '1', ...args]
  const child = startCli(all, { cwd: folder, env: { PTQ_TEST_FOLDER: folder } })
  const end = ended(child)
  let text = ''
  child.stdout.on('data', (chunk: string) => {
    text += chunk
  })
  const pids = () => [...text.matchAll(/Z \[(\d+)\] Working on fq:\S+$/gm)].map(([, pid]) => Number(pid))
  return { child, end, output: () => text, pids }
}

function log(folder: string): string[] {
  const path = join(folder, 'log')
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
}

/** The number of worker processes that received a stop signal. */
function stopped(folder: string): number {
  const path = join(folder, 'stopped')
  return existsSync(path) ? readFileSync(path, 'utf8').length : 0
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function statusOf(folder: string): Promise<{ enqueued: number; leased: number }> {
  await using queue = new TaskQueue(`fq://${folder}/queue`)
  const { enqueued, leased } = await queue.status()
  return { enqueued, leased }
}

test('--processes: each is a worker with all options, and --until-empty ends all', () =>
  inFolder(async folder => {
    await fill(folder, payloadLines(30))
    const { end, pids } = poll(folder, '--processes', '2', '--until-empty', '--execute-args', '["extra"]')
    const { code, stdout, stderr } = await end
    assert.deepEqual([code, stderr], [0, ''])
    assert.equal(new Set(pids()).size, 2, stdout)
    assert.equal(stdout.match(/Z \[\d+\] Ended: \d+ executed, 0 failed/g)?.length, 2, stdout)
    assert.deepEqual(log(folder).sort(), Array.from({ length: 30 }, (_, n) => `${n},extra`).sort())
  }))

test('--processes: a task that failed for good gives exit code 1', () =>
  inFolder(async folder => {
    await fill(folder, payloadLines(1, 'fail'))
    const { code, stderr } = await poll(folder, '--processes=2', '--until-empty', '--max-attempts', '1').end
    assert.deepEqual([code, stderr], [1, 'ptq: 1 task failed for good: see ptq failures queue\n'])
  }))

test('--processes: a refused command is reported once, with exit code 2, and ends all processes', () =>
  inFolder(async folder => {
    const { end } = poll(folder, '--processes', '3', '--parallel', '0', '--timeout-sec', '3')
    const { code, stdout, stderr } = await end
    assert.match(stderr, /^ptq: Expected --parallel of 1 or more with --timeout-sec or --max-memory-mb[^\n]*\n$/)
    assert.deepEqual([code, stdout], [2, ''])
    assert.equal(existsSync(join(folder, 'queue')), false)
  }))

test('--processes: a killed process is started again, and its task runs when its lease expires', () =>
  inFolder(async folder => {
    await fill(folder, payloadLines(2, 'linger'))
    const { end, output, pids } = poll(folder, '--processes', '2', '--until-empty', '--lease-sec', '3')
    await until(() => pids().length === 2 && log(folder).length >= 2)
    const [victim = Number.NaN] = pids()
    process.kill(victim, 'SIGKILL')
    await until(() => pids().length === 3)
    assert.match(output(), new RegExp(`Z Process ${victim} was killed by SIGKILL: another one starts in 1s\n`))
    writeFileSync(join(folder, 'go'), '')
    const { code, stderr } = await end
    assert.deepEqual([code, stderr], [0, ''])
    assert.deepEqual(
      [0, 1].map(n => log(folder).includes(`ended ${n}`)),
      [true, true],
    )
  }))

for (const [signal, exitCode] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`--processes: ${signal} to the parent: all processes finish their tasks, and none is restarted`, () =>
    inFolder(async folder => {
      await fill(folder, payloadLines(4, 'linger'))
      const { child, end, output, pids } = poll(folder, '--processes', '2')
      await until(() => pids().length === 2 && log(folder).length === 2)
      child.kill(signal)
      await until(() => output().includes(`Z ${signal}: the processes finish what runs, again to leave at once\n`))
      await until(() => stopped(folder) === 2)
      writeFileSync(join(folder, 'go'), '')
      const { code, stdout, stderr } = await end
      assert.deepEqual([code, stderr], [exitCode, ''])
      assert.equal(stdout.match(/Ended: 1 executed, 0 failed/g)?.length, 2, stdout)
      assert.doesNotMatch(stdout, /another one starts/)
      assert.deepEqual(await statusOf(folder), { enqueued: 2, leased: 0 })
      assert.deepEqual(pids().filter(isAlive), [])
    }))
}

test('--processes: after a second signal all processes exit at once and release running tasks', () =>
  inFolder(async folder => {
    await fill(folder, payloadLines(2, 'linger'))
    const { child, end, output, pids } = poll(folder, '--processes', '2')
    await until(() => pids().length === 2 && log(folder).length === 2)
    child.kill('SIGTERM')
    await until(() => output().includes('again to leave at once'))
    child.kill('SIGTERM')
    const { code, stdout } = await end
    assert.equal(code, 143)
    assert.match(stdout, /Z Leaving at once, what runs is released\n/)
    assert.deepEqual(await statusOf(folder), { enqueued: 2, leased: 0 })
    await until(() => pids().every(pid => !isAlive(pid)))
  }))

test('--processes: a signal that a terminal sends to the parent and all children counts once', () =>
  inFolder(async folder => {
    await fill(folder, payloadLines(2, 'linger'))
    const { child, end, output, pids } = poll(folder, '--processes', '2')
    await until(() => pids().length === 2 && log(folder).length === 2)
    for (const pid of pids()) process.kill(pid, 'SIGTERM')
    child.kill('SIGTERM')
    await until(() => output().includes('again to leave at once'))
    writeFileSync(join(folder, 'go'), '')
    const { code, stdout } = await end
    assert.equal(code, 143)
    assert.equal(stdout.match(/Ended: 1 executed, 0 failed/g)?.length, 2, stdout)
  }))

test('--processes: the children end as by SIGTERM when the parent is killed', () =>
  inFolder(async folder => {
    await fill(folder, payloadLines(3, 'linger'))
    const { child, pids } = poll(folder, '--processes', '2')
    await until(() => pids().length === 2 && log(folder).length === 2)
    const workers = pids()
    child.kill('SIGKILL')
    // Unleased tasks stay, running ones may finish.
    writeFileSync(join(folder, 'go'), '')
    await until(() => !workers.some(isAlive))
    const ran = log(folder).filter(line => line.startsWith('ended')).length
    assert.deepEqual(await statusOf(folder), { enqueued: 3 - ran, leased: 0 })
    assert.ok(ran >= 2)
  }))
