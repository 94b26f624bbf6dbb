import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TaskQueue } from 'ptq'
import {
  type CliResult,
  ended,
  inFolder,
  mainPath,
  outputOf,
  payloadLines,
  runCli,
  runProcess,
  startCli,
  until,
} from './run-cli.js'

const tasks = join(import.meta.dirname, 'marking-tasks.js')

/** Fills `folder`/queue. */
async function fill(folder: string, payloads: string): Promise<void> {
  const { code, stderr } = await runCli(['insert', 'queue', '-'], { cwd: folder, input: payloads })
  assert.deepEqual([code, stderr], [0, ''])
}

function poll(folder: string, ...args: string[]): ChildProcessWithoutNullStreams {
  return startCli(['poll', 'queue', '--load', tasks, ...args], { cwd: folder, env: { PTQ_TEST_FOLDER: folder } })
}

/** A worker that ends by itself, in the process that is kept for all commands. */
function pollToEnd(folder: string, ...args: string[]): Promise<CliResult> {
  return runCli(['poll', 'queue', '--load', tasks, ...args], { cwd: folder, env: { PTQ_TEST_FOLDER: folder } })
}

function log(folder: string): string[] {
  const path = join(folder, 'log')
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : []
}

test('a worker runs what the module registers, counts, and ends when the queue is empty', () =>
  inFolder(async folder => {
    await fill(folder, payloadLines(20))
    const args = ['--parallel', '2', '--until-empty', '--tally', '--execute-args', '["extra", 7]', '--lease-sec', '60']
    const { code, stdout, stderr } = await ended(poll(folder, ...args))
    assert.deepEqual([code, stderr], [0, ''])
    const [first, last] = stdout.trim().split('\n')
    assert.match(first ?? '', /^\d{4}-\S+Z Working on fq:\S+queue in process \d+$/)
    assert.match(last ?? '', /^\S+Z Ended: 20 executed, 0 failed, \S+\/s, \d+s$/)
    const numbers = Array.from({ length: 20 }, (_, n) => `${n},extra,7`)
    assert.deepEqual(log(folder).sort(), numbers.sort())
    await using queue = new TaskQueue(`fq://${folder}/queue`)
    assert.deepEqual([await queue.completed(), await queue.enqueued()], [20, 0])
    const late = await pollToEnd(folder, '--until-empty')
    assert.match(
      late.stdout,
      /^\S+Z Working on fq:\S+ in process \d+\n\S+Z Ended: 0 executed, 0 failed, 0\.0\/s, \d+s\n$/,
    )
  }))

test('no output shows the values that tasks return', () =>
  inFolder(async folder => {
    const ledger = join(folder, 'ledger')
    const load = join(import.meta.dirname, '../poll/tasks.js')
    for (const verbose of [[], ['--verbose']]) {
      await fill(folder, `${JSON.stringify([['tasks', 'lookedAt'], [ledger], {}])}\n`)
      const { code, stdout } = await pollToEnd(folder, '--load', load, '--until-empty', ...verbose)
      assert.equal(code, 0)
      assert.match(stdout, /Ended: 1 executed, 0 failed/)
    }
    assert.equal(existsSync(ledger), false)
  }))

test('an idle worker says why it ends: at a signal, or because its time is over', () =>
  inFolder(async folder => {
    await fill(folder, payloadLines(1))
    const late = await pollToEnd(folder, '--until', '2020-01-01T00:00:00Z')
    assert.equal(
      late.stderr,
      'ptq: warning: The worker begins no task and ends: the time that it had was over at 2020-01-01T00:00:00.000Z, see --until.\n',
    )
    assert.match(late.stdout, /Ended: 0 executed/)
    const child = poll(folder, '--verbose')
    const end = ended(child)
    await outputOf(child, 'successfully executed')
    child.kill('SIGTERM')
    assert.match((await end).stdout, /Z SIGTERM: ending\n/)
  }))

test('--verbose prints each step with its time', () =>
  inFolder(async folder => {
    await fill(folder, payloadLines(1))
    const { code, stdout, stderr } = await pollToEnd(folder, '--until-empty', '--verbose')
    assert.deepEqual([code, stderr], [0, ''])
    const id = '[0-9a-f-]{36}'
    const steps = [
      'Working on .*',
      `INFO Running tasks\\.mark \\(id: ${id}\\)`,
      `INFO Deleting ${id}`,
      `INFO tasks\\.mark ${id} successfully executed in .*`,
      'Task execution loop exited\\.',
      'Ended: 1 executed.*',
    ]
    const lines = stdout.trim().split('\n')
    assert.equal(lines.length, steps.length, stdout)
    for (const [index, step] of steps.entries()) {
      assert.match(lines[index] ?? '', new RegExp(`^\\d{4}-\\d\\d-\\d\\dT\\S+Z ${step}$`))
    }
  }))

test('tasks that fail for good give one line each without control characters and exit code 1; --on-error throw ends at the first', () =>
  inFolder(async folder => {
    await fill(folder, payloadLines(2, 'fail'))
    const { code, stdout, stderr } = await pollToEnd(folder, '--until-empty', '--max-attempts', '1')
    assert.equal(code, 1)
    assert.equal(stderr, 'ptq: 2 tasks failed for good: see ptq failures queue\n')
    assert.match(stdout, /Ended: 0 executed, 2 failed for good, 2 failed attempts, /)
    const said = stdout.match(
      /tasks\.fail \S+ failed for good and is in fq:\S+\/queue\/failed: RangeError: broken \d .*$/gm,
    )
    assert.equal(said?.length, 2)
    assert.doesNotMatch(stdout, /(?!\n)\p{Cc}/u)

    await fill(folder, payloadLines(2, 'fail'))
    const thrown = await pollToEnd(folder, '--on-error', 'throw')
    assert.equal(thrown.code, 1)
    assert.match(thrown.stderr, /^ptq: Task tasks\.fail \(\S+\) failed at attempt 1: RangeError: broken \d[^\n]*\n$/)
    assert.doesNotMatch(thrown.stderr, /(?!\n)\p{Cc}/u)
  }))

for (const [signal, exitCode] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const) {
  test(`${signal} stops leasing, lets running tasks finish, and exits with ${exitCode}`, () =>
    inFolder(async folder => {
      await fill(folder, payloadLines(3, 'linger'))
      const child = poll(folder)
      const end = ended(child)
      await outputOf(child, 'Working on')
      await until(() => log(folder).length > 0)
      child.kill(signal)
      // The task must not end before the worker has handled the signal.
      await outputOf(child, 'finishing 1 task')
      writeFileSync(join(folder, 'go'), '')
      const { code, stdout, stderr } = await end
      assert.deepEqual([code, stderr], [exitCode, ''])
      const [began = '', ...rest] = log(folder)
      assert.deepEqual(rest, [began.replace('began', 'ended')])
      assert.match(stdout, new RegExp(`Z ${signal}: finishing 1 task, again to leave at once\n`))
      assert.match(stdout, /Ended: 1 executed, 0 failed/)
      await using queue = new TaskQueue(`fq://${folder}/queue`)
      const { enqueued, leased } = await queue.status()
      assert.deepEqual([enqueued, leased], [2, 0])
    }))
}

test('a second Ctrl-C exits at once and --grace-sec ends the wait; both release running tasks', () =>
  inFolder(async folder => {
    await fill(folder, payloadLines(1, 'linger'))
    await using queue = new TaskQueue(`fq://${folder}/queue`)
    const impatient = poll(folder)
    const impatientEnd = ended(impatient)
    await until(() => log(folder).includes('began 0'))
    impatient.kill('SIGINT')
    // The first has to be handled before the second comes, or the two are one.
    const again = setInterval(() => impatient.kill('SIGINT'), 50)
    const { code, stdout } = await impatientEnd
    clearInterval(again)
    assert.equal(code, 130)
    assert.match(stdout, /Z SIGINT: leaving at once, 1 task released\n/)
    assert.deepEqual([await queue.enqueued(), await queue.leased()], [1, 0])

    const patient = poll(folder, '--grace-sec', '0')
    const patientEnd = ended(patient)
    await until(() => log(folder).length === 2)
    patient.kill('SIGTERM')
    assert.equal((await patientEnd).code, 143)
    assert.deepEqual([await queue.enqueued(), await queue.leased()], [1, 0])
    assert.deepEqual(log(folder), ['began 0', 'began 0'])
  }))

test('a worker whose output pipe is closed ends and releases its tasks', () =>
  inFolder(async folder => {
    await fill(folder, payloadLines(3, 'fail'))
    const child = poll(folder, '--max-attempts', '1000', '--max-backoff-sec', '1')
    const end = ended(child)
    await outputOf(child, 'Working on')
    child.stdout.destroy()
    const { code, stderr } = await end
    assert.deepEqual([code, stderr], [0, ''])
    await using queue = new TaskQueue(`fq://${folder}/queue`)
    assert.deepEqual([await queue.enqueued(), await queue.leased()], [3, 0])
  }))

test('a module that throws while loading is named with its reason; --load registers another backend', () =>
  inFolder(async folder => {
    writeFileSync(join(folder, 'broken.mjs'), 'throw new RangeError("no model file")')
    const broken = await runProcess(['poll', 'queue', '--load', './broken.mjs'], { cwd: folder })
    assert.deepEqual(broken, {
      code: 1,
      stdout: '',
      stderr: 'ptq: The module ./broken.mjs could not be loaded: RangeError: no model file\n',
    })
    if (Number.parseInt(process.versions.node, 10) < 22) {
      writeFileSync(join(folder, 'typed.ts'), 'export const n: number = 1')
      const typed = await runProcess(['poll', 'queue', '--load', './typed.ts'], { cwd: folder })
      assert.match(typed.stderr, /Unknown file extension ".ts"[^\n]*; TypeScript needs a loader here: NODE_OPTIONS=/)
    }
    const backend = join(import.meta.dirname, 'folder-backend.js')
    const input = payloadLines(4)
    const env = { PTQ_TEST_FOLDER: folder }
    const run = (...args: string[]) => runProcess([...args, '--load', backend], { cwd: folder, input, env })
    assert.equal((await run('insert', 'folder://queue', '-')).stdout, 'Inserted 4 tasks into folder://queue\n')
    assert.match((await run('status', 'folder://queue')).stdout, /^Enqueued: 4\b/m)
    const worked = await run('poll', 'folder://queue', '--load', tasks, '--until-empty')
    assert.deepEqual([worked.code, worked.stderr, log(folder).sort()], [0, '', ['0', '1', '2', '3']])
  }))

test('output of tasks on a terminal appears above the status line', t =>
  inFolder(async folder => {
    const found = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') ?? false
    if (!found) {
      assert.ok(!process.env.CI, '`script` of util-linux is needed to test a terminal')
      return t.skip('no `script` of util-linux here: the status line was NOT tested on a terminal')
    }
    await fill(folder, payloadLines(3, 'talk'))
    const command = `'${process.execPath}' '${mainPath}' poll queue --load '${tasks}' --parallel 2 --until-empty`
    const child = spawn('script', ['-qec', `stty cols 100; ${command}`, '/dev/null'], {
      cwd: folder,
      env: { ...process.env, PTQ_TEST_FOLDER: folder },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const end = once(child, 'close')
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    await until(() => stdout.includes('2 running'))
    writeFileSync(join(folder, 'go'), '')
    // Both have printed, and the status line is below that.
    await until(() => stdout.split(/logged \d/).length === 3 && /logged \d(?!.*logged).*2 running/s.test(stdout))
    writeFileSync(join(folder, 'end'), '')
    await end
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escapes are what this is about
    const lines = stdout.split('\n').map(line => line.replace(/^.*\x1b\[2K\x1b\[G/, '').replace(/\r$/, ''))
    for (const n of [0, 1, 2]) {
      for (const said of [`printed ${n}`, `logged ${n}`]) assert.ok(lines.includes(said), `${said} in ${stdout}`)
    }
    assert.match(lines.filter(line => line !== '').at(-1) ?? '', /^Ended: 3 executed, 0 failed/)
  }))
