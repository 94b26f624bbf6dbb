// `ptq slurm` with a stand-in for Slurm: programs named sbatch and squeue, which keep jobs in a folder.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { TaskQueue } from 'ptq'
import { type CliResult, inFolder, runCli } from './run-cli.js'

const hasShellcheck = spawnSync('shellcheck', ['--version']).status === 0

/** Keeps scripts, and runs the elements of their arrays one after the other. */
const sbatch = `#!/bin/bash
set -eu
[ "$*" = --parsable ]
n=$(ls jobs | wc -l)
cat > "jobs/$n"
last=$(sed -n 's/^#SBATCH --array=0-//p' "jobs/$n")
name=$(sed -n 's/^#SBATCH --job-name=//p' "jobs/$n")
for i in $(seq 0 "$last"); do echo "\${n}_$i" >> "listed.$name"; done
echo "$n"
`

const squeue = `#!/bin/bash
for arg; do case $arg in --name=*) name=\${arg#--name=};; esac; done
echo "$*" > squeue.args
cat "listed.$name" 2>/dev/null || true
`

function withSlurm(
  work: (cwd: string, ptq: (...args: string[]) => Promise<CliResult>) => Promise<void>,
): Promise<void> {
  return inFolder(async cwd => {
    mkdirSync(join(cwd, 'bin'))
    mkdirSync(join(cwd, 'jobs'))
    writeFileSync(join(cwd, 'bin/sbatch'), sbatch, { mode: 0o755 })
    writeFileSync(join(cwd, 'bin/squeue'), squeue, { mode: 0o755 })
    const env = { PATH: `${join(cwd, 'bin')}:${process.env.PATH}` }
    await work(cwd, (...args) => runCli(args, { cwd, env }))
  })
}

/** Fails where bash or, where there is one, shellcheck finds fault with the script. */
function checkScript(script: string): void {
  const parsed = spawnSync('bash', ['-n'], { input: script, encoding: 'utf8' })
  assert.deepEqual([parsed.status, parsed.stderr], [0, ''])
  if (!hasShellcheck) return
  // SC2016: a `$` in single quotes is intended.
  const { status, stdout } = spawnSync('shellcheck', ['--shell=bash', '--exclude=SC2016', '-'], {
    input: script,
    encoding: 'utf8',
  })
  assert.equal(status, 0, stdout)
}

test('ptq slurm prints a script that bash and shellcheck accept, for any names', { timeout: 120_000 }, t =>
  withSlurm(async (cwd, ptq) => {
    if (!hasShellcheck) t.diagnostic('shellcheck is not installed: apt-get install shellcheck')
    const plain = await ptq('slurm', 'q', '--workers', '4', '--commands')
    assert.deepEqual([plain.code, plain.stderr], [0, ''])
    checkScript(plain.stdout)
    assert.match(plain.stdout, /^#SBATCH --array=0-3$/m)
    assert.match(plain.stdout, /^#SBATCH --job-name=ptq-q-[0-9a-f]{6}$/m)
    const odd = await ptq(
      'slurm',
      "it's $HOME",
      '--workers',
      '1',
      '--load',
      './my tasks.js',
      '--cpus',
      '8',
      '--mem-per-cpu',
      '500M',
      '--time',
      '1-00:00:00',
      '--sbatch=--gres=gpu:1',
      '--sbatch=--partition=long',
      '--',
      '--max-attempts',
      '3',
      '--dead-letter',
      'a b',
    )
    assert.deepEqual([odd.code, odd.stderr], [0, ''])
    checkScript(odd.stdout)
    for (const line of [
      '--array=0-0',
      '--cpus-per-task=8',
      '--mem-per-cpu=500M',
      '--time=1-00:00:00',
      '--gres=gpu:1',
      '--partition=long',
    ]) {
      assert.ok(odd.stdout.includes(`\n#SBATCH ${line}\n`), line)
    }
    assert.ok(odd.stdout.includes(`'fq://${cwd}/it'"'"'s $HOME'`))
    assert.ok(odd.stdout.includes(`'${cwd}/my tasks.js'`))
    assert.deepEqual(readdirSync(join(cwd, 'jobs')), [])
  }),
)

test('ptq slurm --submit: the submitted script is a worker that drains the queue', () =>
  withSlurm(async (cwd, ptq) => {
    await ptq('run', '--queue', 'q', '--', 'touch', '{}', ':::', 'one', 'two')
    const submitted = await ptq('slurm', 'q', '--workers', '2', '--commands', '--submit')
    assert.deepEqual([submitted.code, submitted.stdout], [0, `Submitted 2 workers for fq://${cwd}/q as job 0\n`])
    const { status, stderr } = spawnSync('bash', [join(cwd, 'jobs/0')], {
      cwd: '/',
      encoding: 'utf8',
      env: {
        PATH: process.env.PATH,
        SLURM_JOB_END_TIME: String(Math.floor(Date.now() / 1000) + 3600),
        SLURM_CPUS_PER_TASK: '2',
      },
    })
    assert.equal(status, 0, stderr)
    assert.deepEqual([existsSync(join(cwd, 'one')), existsSync(join(cwd, 'two'))], [true, true])
    await using queue = new TaskQueue(`fq://${cwd}/q`)
    assert.deepEqual([await queue.enqueued(), await queue.completed()], [0, 2])
  }))

test('ptq slurm --keep submits missing workers, no more than there are tasks', () =>
  withSlurm(async (cwd, ptq) => {
    const keep = async (count: number) => ptq('slurm', 'q', '--keep', String(count), '--commands', '--job-name', 'mine')
    await ptq('run', '--queue', 'q', '--', 'touch', '{}', ':::', '1', '2', '3')
    assert.match((await keep(2)).stdout, /^Submitted 2 workers /)
    assert.equal((await keep(2)).stdout, '')
    assert.match((await keep(10)).stdout, /^Submitted 1 worker /)
    assert.match(readFileSync(join(cwd, 'squeue.args'), 'utf8'), /--array --me --name=mine/)
    writeFileSync(join(cwd, 'listed.mine'), '')
    await ptq('purge', 'q', '--yes')
    assert.deepEqual(await keep(2), { code: 0, stdout: '', stderr: '' })
    assert.equal(readdirSync(join(cwd, 'jobs')).length, 2)
  }))

test('ptq slurm refuses bad input and submits nothing', () =>
  withSlurm(async (cwd, ptq) => {
    const cases: [string[], RegExp][] = [
      [['--commands'], /^ptq: Expected --workers N, or --keep N/],
      [['--workers', '2', '--keep', '2', '--commands'], /^ptq: Expected --workers N, or --keep N/],
      [['--workers', '2'], /^ptq: Expected --load FILE .* or --commands, and not both/],
      [
        ['--workers', '2', '--commands', '--time', '4h'],
        /^ptq: Expected --time to be a value such as 04:00:00, got 4h/,
      ],
      [['--workers', '2', '--commands', '--job-name', 'a\nb'], /^ptq: Expected --job-name to be a value such as/],
      [['--workers', '2', '--commands', '--sbatch', 'gres'], /^ptq: Expected --sbatch to be an option of sbatch/],
      [
        ['--workers', '2', '--commands', '--', '--time-out', '3'],
        /^ptq: Expected options of ptq poll after --, got --time-out/,
      ],
    ]
    const results = await Promise.all(cases.map(([args]) => ptq('slurm', 'q', ...args, '--submit')))
    for (const [index, { code, stderr }] of results.entries()) {
      assert.equal(code, 2, stderr)
      assert.match(stderr, cases[index]?.[1] ?? /never/)
    }
    const none = await runCli(['slurm', 'q', '--workers', '2', '--commands', '--submit'], {
      cwd,
      env: { PATH: '/nowhere' },
    })
    assert.equal(none.code, 1)
    assert.match(none.stderr, /^ptq: Expected Slurm here, but sbatch can't be run: /)
    assert.deepEqual(readdirSync(join(cwd, 'jobs')), [])
  }))
