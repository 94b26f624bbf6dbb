import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ended, inFolder, outputOf, runCli, runProcess, startCli, until } from './run-cli.js'

/** True while the process exists and is no zombie. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  // Without a process that reaps orphans they stay as zombies.
  return process.platform !== 'linux' || !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
}

function pidIn(path: string): number {
  return Number(readFileSync(path, 'utf8'))
}

/** Resolves when each file holds a process id. */
function pidsIn(folder: string, names: readonly string[]): Promise<void> {
  return until(() => names.every(name => existsSync(join(folder, name)) && pidIn(join(folder, name)) > 0))
}

// A child in the background, and itself, which neither SIGTERM ends in time.
const stubborn = `trap '' TERM; sleep 600 & echo $! > child; echo $$ > self; wait; sleep 600`

test('run: options end at the first word of the command; the rest belongs to it', () =>
  inFolder(async cwd => {
    const { code, stdout, stderr } = await runProcess(
      ['run', '-k', '-j', '2', 'printf', '%s|', '--tag', '-k', ':::', 'a b'],
      { cwd },
    )
    assert.deepEqual([code, stdout, stderr], [0, '--tag|-k|a b|', ''])
  }))

test('run: bad input is refused with exit code 2 before anything runs', () =>
  inFolder(async cwd => {
    const cases: [string[], RegExp][] = [
      [
        ['run', '--halt', 'later', 'touch', ':::', 'x'],
        /^ptq: Expected --halt to be never, or now or soon .*, got later/,
      ],
      [
        ['run', '--parallel', '0', 'touch', ':::', 'x'],
        /^ptq: Expected --parallel to be an integer of 1 or more, got 0/,
      ],
      [['run', '--slots', 'gpu', 'touch', ':::', 'x'], /^ptq: Expected --slots to be a name with its values/],
      [['run', '--colsep', '(', 'touch', ':::', 'x'], /^ptq: Expected --colsep to be a regular expression/],
      [['run', '--jobs', '3', 'touch', ':::', 'x'], /^ptq: Unknown option: --jobs/],
      [['run', '--retries', '0', 'touch', ':::', 'x'], /^ptq: Expected --retries to be an integer of 1 or more, got 0/],
      [['run', 'no-such-program', ':::', 'x'], /^ptq: Expected a program on PATH, got no-such-program/],
    ]
    const results = await Promise.all(cases.map(([args]) => runCli(args, { cwd })))
    for (const [index, { code, stderr }] of results.entries()) {
      assert.equal(code, 2, stderr)
      assert.match(stderr, cases[index]?.[1] ?? /never/)
    }
    assert.deepEqual(readdirSync(cwd), [])
  }))

test('run: output of any bytes is printed unchanged, also 20 MB of it', () =>
  inFolder(async cwd => {
    const bytes = 'i=0; while [ $i -lt 20 ]; do cat block; i=$((i+1)); done'
    writeFileSync(join(cwd, 'block'), Buffer.alloc(1_048_576, Buffer.from([0xff, 0xfe, 0, 0x1e, 0x80, 10])))
    const { code } = await runProcess(['run', '--shell', `ptq() { ${bytes}; }; ptq {} | cat`, ':::', 'x'], { cwd })
    assert.equal(code, 0)
    const child = startCli(['run', '--shell', `: {}; ${bytes}`, ':::', 'x'], { cwd })
    let size = 0
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length
    })
    await new Promise(resolve => child.once('close', resolve))
    assert.equal(size, 20 * 1_048_576)
  }))

test('run: a time-out ends a command with its children, also those that ignore SIGTERM', () =>
  inFolder(async cwd => {
    const { code, stderr } = await runProcess(
      ['run', '--timeout-sec', '1', '--shell', `${stubborn}; : {}`, ':::', 'x'],
      {
        cwd,
      },
    )
    assert.equal(code, 1)
    assert.match(stderr, /The command ran for longer than 1 s and was ended/)
    assert.equal(isAlive(pidIn(join(cwd, 'child'))), false)
    assert.equal(isAlive(pidIn(join(cwd, 'self'))), false)
  }))

test('run: SIGTERM ends running commands, with exit code 143', () =>
  inFolder(async cwd => {
    const child = startCli(['run', '-j1', '--shell', 'sleep 600 & echo $! > child; wait; : {}', ':::', '1', '2'], {
      cwd,
    })
    const end = ended(child)
    await pidsIn(cwd, ['child'])
    child.kill('SIGTERM')
    assert.equal((await end).code, 143)
    assert.equal(isAlive(pidIn(join(cwd, 'child'))), false)
  }))

test('run: when it is killed by SIGKILL, its commands end within seconds', () =>
  inFolder(async cwd => {
    const child = startCli(['run', '-j1', '--shell', `${stubborn}; : {}`, ':::', 'x'], { cwd })
    const end = ended(child)
    await pidsIn(cwd, ['child', 'self'])
    child.kill('SIGKILL')
    await end
    await until(() => !isAlive(pidIn(join(cwd, 'child'))) && !isAlive(pidIn(join(cwd, 'self'))))
  }))

test('run: a command whose shell is killed is ended with it', () =>
  inFolder(async cwd => {
    // Its number first: once the shell is killed, the command may be ended at any moment.
    const script = 'echo $$ > self$0; kill -KILL $PPID; exec sleep 600'
    const { code, stderr } = await runProcess(['run', '-j1', 'sh', '-c', script, ':::', '1', '2'], { cwd })
    assert.equal(code, 1)
    assert.match(
      stderr,
      /^(ptq: The shell that ran this command ended by SIGKILL: .*\n){2}ptq: 2 of 2 commands failed\n$/,
    )
    for (const input of ['1', '2']) assert.equal(isAlive(pidIn(join(cwd, `self${input}`))), false)
  }))

test('run: output that can not be kept is a failure of its command', () =>
  inFolder(async cwd => {
    const script = 'head -c {} /dev/zero'
    const { code, stdout, stderr } = await runProcess(['run', '--shell', script, ':::', '3000000', '1'], {
      cwd,
      env: { TMPDIR: join(cwd, 'missing') },
    })
    assert.equal(code, 1)
    assert.match(stderr, /^ptq: ENOENT: .*: head -c 3000000 \/dev\/zero\nptq: 1 of 2 commands failed\n$/)
    assert.ok(stdout.endsWith('\0'))
  }))

test('run --halt: the end does not wait for a next input', () =>
  inFolder(async cwd => {
    for (const halt of ['now,fail=1', 'soon,fail=1']) {
      const child = startCli(['run', '-j2', '--halt', halt, 'false'], { cwd })
      const end = ended(child)
      child.stdin.write('1\n')
      assert.equal((await end).code, 1)
    }
  }))

test('run --resume runs what has not succeeded, for any order of the inputs', () =>
  inFolder(async cwd => {
    const env = { XDG_STATE_HOME: join(cwd, 'state') }
    const run = (...inputs: string[]) =>
      runProcess(['run', '-k', '--resume', 'a/b', '--shell', 'echo {}; test -e ok.{}', ':::', ...inputs], { cwd, env })
    writeFileSync(join(cwd, 'ok.1'), '')
    const first = await run('1', '2', '3')
    assert.deepEqual([first.code, first.stdout], [1, '1\n2\n3\n'])
    for (const name of ['ok.2', 'ok.3', 'ok.4']) writeFileSync(join(cwd, name), '')
    const second = await run('4', '3', '2', '1')
    assert.deepEqual([second.code, second.stdout, second.stderr], [0, '4\n3\n2\n', ''])
    assert.equal((await run('1', '2', '3', '4')).stdout, '')
  }))

test('run: each running command has its own slot and slot values', () =>
  inFolder(async cwd => {
    const script =
      'mkdir lock.$CUDA_VISIBLE_DEVICES && sleep 0.05; rmdir lock.$CUDA_VISIBLE_DEVICES; echo $PTQ_GPU $PTQ_ATTEMPT {}'
    const inputs = Array.from({ length: 8 }, (_, n) => String(n))
    const { code, stdout, stderr } = await runProcess(
      ['run', '-k', '--slots', 'gpu=4,7', '--shell', script, ':::', ...inputs],
      { cwd },
    )
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^(?:[47] 1 \d\n){8}$/)
    const refused = await runCli(['run', '-j', '3', '--slots', 'gpu=4,7', 'true', ':::', 'x'], { cwd })
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /Expected a value of gpu for each of the 3 commands that run at once, got 2/)
  }))

test('run --line-buffer prints a line while the command runs', () =>
  inFolder(async cwd => {
    mkdirSync(join(cwd, 'd'))
    const child = startCli(
      [
        'run',
        '--line-buffer',
        '--tag',
        '--shell',
        'echo now; while ! test -e go; do sleep 0.05; done; : {}',
        ':::',
        'a',
      ],
      { cwd },
    )
    await outputOf(child, 'a\tnow\n')
    const end = ended(child)
    writeFileSync(join(cwd, 'go'), '')
    assert.equal((await end).code, 0)
  }))

test('run --line-buffer: twelve commands wait for a slow reader, without a warning', () =>
  inFolder(async cwd => {
    const script = ': > begun{}; yes | head -c 300000'
    const values = Array.from({ length: 12 }, (_, n) => String(n))
    const child = startCli(['run', '-j12', '--line-buffer', '--shell', script, ':::', ...values], { cwd })
    await until(() => values.every(n => existsSync(join(cwd, `begun${n}`))))
    const { code, stdout, stderr } = await ended(child)
    assert.deepEqual([code, stdout.length, stderr], [0, 12 * 300_000, ''])
  }))
