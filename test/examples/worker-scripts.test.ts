// The scripts for Slurm and Kubernetes: their syntax, and that they leave a worker the time that it needs to stop.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { FunctionTask, TaskQueue } from 'ptq'
import { parse, parseAllDocuments } from 'yaml'
import { runCli, until } from '../cli/run-cli.js'

const root = join(import.meta.dirname, '../../..')
const ptq = join(root, 'dist/src/cli/bin.cjs')
const text = (...path: string[]) => readFileSync(join(root, ...path), 'utf8')

interface Container {
  readonly command: readonly string[]
  readonly args: readonly string[]
}
interface Workload {
  readonly kind: string
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly restartPolicy?: string
        readonly terminationGracePeriodSeconds: number
        readonly containers: readonly Container[]
      }
    }
  }
}

const optionOf = (args: readonly string[], name: string) => args[args.indexOf(name) + 1]

it('the Slurm script is valid shell, and sends its signal before the grace time is over', () => {
  const { status, stderr } = spawnSync('bash', ['-n', join(root, 'examples/slurm/array.sh')], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  const script = text('examples/slurm/array.sh')
  const [, signalSeconds] = /^#SBATCH --signal=B:TERM@(\d+)$/m.exec(script) ?? []
  const [, graceSeconds] = /--grace-sec (\d+)$/m.exec(script) ?? []
  assert.ok(Number(graceSeconds) < Number(signalSeconds), `${graceSeconds} < ${signalSeconds}`)
  // Slurm reads #SBATCH lines up to the first command only.
  const firstCommand = script.search(/^[^#\n]/m)
  assert.ok(script.lastIndexOf('\n#SBATCH') < firstCommand)
})

it('in Kubernetes the worker is the first process, and is killed only after its grace time', () => {
  const documents = parseAllDocuments(text('examples/kubernetes/worker.yaml'))
  assert.deepEqual(
    documents.flatMap(({ errors }) => errors),
    [],
  )
  const workloads: Workload[] = documents.map(document => document.toJS())
  assert.deepEqual(
    workloads.map(({ kind }) => kind),
    ['Job', 'Deployment'],
  )
  for (const { spec } of workloads) {
    const { terminationGracePeriodSeconds, containers } = spec.template.spec
    assert.equal(containers.length, 1)
    for (const { command, args } of containers) {
      assert.deepEqual(command.slice(0, 2), ['node_modules/.bin/ptq', 'poll'])
      assert.ok(Number(optionOf(args, '--grace-sec')) < terminationGracePeriodSeconds)
      // Kubernetes refuses YAML numbers as arguments.
      for (const arg of [...command, ...args]) assert.equal(typeof arg, 'string')
    }
  }
})

it('every option in the scripts is one of `ptq poll`', async () => {
  const { stdout, code } = await runCli(['poll', '--help'])
  assert.equal(code, 0)
  // Without the lines for Slurm itself.
  const script = text('examples/slurm/array.sh')
    .replace(/^#.*$/gm, '')
    .replace(/^.*squeue.*$/m, '')
    .replace(/^.*date .*$/m, '')
  const given = new Set(`${script}${text('examples/kubernetes/worker.yaml')}`.match(/--[a-z][a-z-]+/g))
  for (const option of given) assert.match(stdout, new RegExp(`${option}\\b`))
  assert.ok(given.size >= 6)
})

/**
 * The environment of the Slurm script: ptq is installed, and a queue holds three tasks that run until the file `go`
 * exists.
 */
async function cluster() {
  const folder = mkdtempSync(join(tmpdir(), 'ptq-slurm-'))
  mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true })
  const executable = (path: string, program: string) => {
    writeFileSync(path, program)
    chmodSync(path, 0o755)
  }
  executable(join(folder, 'node_modules/.bin/ptq'), `#!/usr/bin/env node\nimport('${pathToFileURL(ptq)}')\n`)
  writeFileSync(
    join(folder, 'holding.mjs'),
    `import { existsSync, writeFileSync } from 'node:fs'
     import { setTimeout as sleep } from 'node:timers/promises'
     import { queueable } from '${pathToFileURL(join(root, 'dist/src/index.js'))}'
     queueable(async function hold() {
       writeFileSync('started', '')
       while (!existsSync('go')) await sleep(20)
     })`,
  )
  const tq = new TaskQueue(`fq://${folder}/queue`)
  await tq.insert(Array.from({ length: 3 }, () => new FunctionTask(['holding', 'hold'], [])))
  const start = (env: NodeJS.ProcessEnv) =>
    spawn('bash', [join(root, 'examples/slurm/array.sh'), './queue', './holding.mjs'], {
      cwd: folder,
      env: { ...process.env, SLURM_JOB_ID: '7', SLURM_CPUS_PER_TASK: '1', ...env },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  return { folder, tq, start, executable }
}

it('on the signal of Slurm the worker finishes running tasks and releases the rest', { timeout: 120_000 }, async () => {
  const { folder, tq, start } = await cluster()
  const inAnHour = Math.floor(Date.now() / 1000) + 3600
  const worker = start({ SLURM_JOB_END_TIME: String(inAnHour) })
  const exit = once(worker, 'exit')
  await until(() => existsSync(join(folder, 'started')) || worker.exitCode !== null)
  // As Slurm does: the signal goes only to the process that it started.
  worker.kill('SIGTERM')
  writeFileSync(join(folder, 'go'), '')
  assert.deepEqual(await exit, [143, null])
  const { enqueued, leased, completed } = await tq.status()
  assert.equal(leased, 0)
  assert.ok(completed >= 1)
  assert.equal(enqueued + completed, 3)
  await tq.close()
  rmSync(folder, { recursive: true })
})

it('the script asks Slurm for the end of the job if the environment does not have it', {
  timeout: 120_000,
}, async () => {
  const { folder, tq, start, executable } = await cluster()
  mkdirSync(join(folder, 'bin'))
  executable(join(folder, 'bin/squeue'), '#!/bin/sh\necho 2001-02-03T04:05:06\n')
  const worker = start({ SLURM_JOB_END_TIME: '', PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}` })
  // That time has passed: the worker starts no task.
  assert.deepEqual(await once(worker, 'exit'), [0, null])
  assert.equal(await tq.enqueued(), 3)
  assert.ok(!existsSync(join(folder, 'started')))
  await tq.close()
  rmSync(folder, { recursive: true })
})

it('every other YAML file is valid', () => {
  const workflows = readdirSync(join(root, '.github/workflows')).map(name => join('.github/workflows', name))
  for (const file of ['examples/docker-compose.yml', ...workflows]) assert.ok(parse(text(file)), file)
  for (const file of workflows) {
    // An action is pinned by commit, with its version in a comment.
    for (const [line] of text(file).matchAll(/^.*\buses:.*$/gm)) assert.match(line, /@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  }
})
