// The scripts for Slurm and Kubernetes: their syntax, and that they leave a worker the time that it needs to stop.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'

const root = join(import.meta.dirname, '../../..')
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

it('the Slurm script is a shell script whose signal comes before the grace time is over', () => {
  const { status, stderr } = spawnSync('bash', ['-n', join(root, 'examples/slurm/array.sh')], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  const script = text('examples/slurm/array.sh')
  const [, signalSeconds] = /^#SBATCH --signal=B:TERM@(\d+)$/m.exec(script) ?? []
  const [, graceSeconds] = /--grace (\d+)$/m.exec(script) ?? []
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
      assert.ok(Number(optionOf(args, '--grace')) < terminationGracePeriodSeconds)
      // YAML's numbers are none of an argument's business: Kubernetes refuses them.
      for (const arg of [...command, ...args]) assert.equal(typeof arg, 'string')
    }
  }
})

it('every other YAML file is well formed', () => {
  const workflows = readdirSync(join(root, '.github/workflows')).map(name => join('.github/workflows', name))
  for (const file of ['examples/docker-compose.yml', ...workflows]) assert.ok(parse(text(file)), file)
  for (const file of workflows) {
    // An action is pinned by the commit it was looked at, its version beside it.
    for (const [line] of text(file).matchAll(/^.*\buses:.*$/gm)) assert.match(line, /@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  }
})
