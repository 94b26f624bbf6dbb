// npm run scale -- [--workers 1,10,100,1000] [--task-seconds 1,10] [--latency-ms 2] [--server any] [--json]
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { chartOf } from './chart.js'
import { scenariosOf } from './plan.js'
import type { Finding, Scenario } from './simulation.js'
import { countSqsRequests, formatSqs } from './sqs-requests.js'
import { formatFindings } from './table.js'

const USAGE = `Usage: npm run scale -- [options], where LIST is numbers with commas; each combination is simulated
  --workers LIST       default 1,10,100,1000
  --task-seconds LIST  mean length of a task; default 1,10
  --latency-ms LIST    mean time of a request; default 2
  --server LIST        requests/s that the server can answer, or any; default any
  --queued COUNT       tasks in the queue; default 1000000
  --pack LIST          tasks of a message; default 1
  --tasks-a-worker N   the simulation ends when so many have run for each worker (tasks of 0 s: a hundred times as many);
                       default 20
  --threads COUNT      calls in flight of a worker, UV_THREADPOOL_SIZE; default 4
  --seed N             default 1
  --sqs COUNT          also count the requests of so many tasks on SQS; default 5000, 0: don't
  --svg FILE           write the curves
  --json               print JSON, one finding a line
  --from FILE          simulate nothing: show what an earlier --json printed (several may be put together)
A thousand workers take 2 to 4 GB, and half a minute of CPU.`

// A thousand workers with two lists of 32,768 names each take 4 GB; tasks of no length take more, as they are leased by the thousand.
const HEAP_MB = 7_000

// Promises that outlive a collection of the young are copied: a thousand workers have some ten thousand of them.
const YOUNG_MB = 64

function argumentsOf(argv: string[]) {
  const text = (fallback: string) => ({ type: 'string', default: fallback }) as const
  const { values } = parseArgs({
    args: argv,
    options: {
      workers: text('1,10,100,1000'),
      'task-seconds': text('1,10'),
      'latency-ms': text('2'),
      server: text('any'),
      queued: text('1000000'),
      pack: text('1'),
      'tasks-a-worker': text('20'),
      threads: text('4'),
      seed: text('1'),
      sqs: text('5000'),
      svg: { type: 'string' },
      from: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const list = (name: Exclude<keyof typeof values, 'json' | 'help' | 'svg' | 'from'>, least: number): number[] =>
    values[name].split(',').map(item => {
      const value = item === 'any' && name === 'server' ? Number.POSITIVE_INFINITY : Number(item)
      if (!(value >= least)) throw new Error(`Expected --${name} to be ${least} or more, got ${item}`)
      return value
    })
  const one = (name: Parameters<typeof list>[0], least: number) => list(name, least)[0] ?? least
  const grid = {
    workers: list('workers', 1),
    taskSeconds: list('task-seconds', 0),
    latencyMs: list('latency-ms', 0.001),
    // JSON has no infinity.
    requestsPerSecond: list('server', 1).map(value => (Number.isFinite(value) ? value : null)),
    queued: one('queued', 1),
    pack: list('pack', 1),
    tasksPerWorker: one('tasks-a-worker', 1),
    threads: one('threads', 1),
    seed: one('seed', 0),
  }
  return { ...values, grid, sqs: one('sqs', 0) }
}

async function simulate(scenario: Scenario): Promise<Finding> {
  const program = join(import.meta.dirname, 'simulate.js')
  const parameters = [
    `--max-old-space-size=${HEAP_MB}`,
    `--max-semi-space-size=${YOUNG_MB}`,
    program,
    JSON.stringify(scenario),
  ]
  const { stdout } = await promisify(execFile)(process.execPath, parameters)
  return JSON.parse(stdout)
}

/** One after the other: how long it takes is then that of one core, and what it needs is what the largest needs. */
async function simulateAll(scenarios: readonly Scenario[]): Promise<Finding[]> {
  const found: Finding[] = []
  for (const scenario of scenarios) {
    found.push(await simulate(scenario))
    if (process.stderr.isTTY) process.stderr.write(`\x1b[2K\r${found.length} of ${scenarios.length}`)
  }
  if (process.stderr.isTTY) process.stderr.write('\x1b[2K\r')
  return found
}

/** Those that were simulated earlier; lines about SQS are passed over. */
function findingsIn(file: string): Finding[] {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  return lines.map(line => JSON.parse(line)).filter(found => !Array.isArray(found))
}

async function main(): Promise<void> {
  const { grid, sqs, svg, from, json, help } = argumentsOf(process.argv.slice(2))
  if (help) return console.log(USAGE)
  const findings = from === undefined ? await simulateAll(scenariosOf(grid)) : findingsIn(from)
  console.log(json ? findings.map(each => JSON.stringify(each)).join('\n') : formatFindings(findings))
  if (svg !== undefined) writeFileSync(svg, chartOf(findings))
  if (sqs === 0 || from !== undefined) return
  const counted = await countSqsRequests(sqs)
  console.log(json ? JSON.stringify(counted) : formatSqs(counted))
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  console.error(USAGE)
  process.exitCode = 1
}
