// npm run torture -- --minutes M [--kills N] [--every-ms MS] [--dir FOLDER] [--seed N]
// Several --dir are one folder through several mounts of a network filesystem, as several hosts see it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { torture } from './chaos.js'
import { describeMachine } from './machine.js'
import { oneFolder } from './one-folder.js'
import { fileQueuesIn } from './part.js'
import { reportOf } from './report.js'

const date = new Date()
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    kills: { type: 'string', default: '0' },
    'every-ms': { type: 'string', default: '1200' },
    dir: { type: 'string', multiple: true, default: [tmpdir()] },
    seed: { type: 'string', default: String(date.getTime() % 1_000_000) },
  },
})

function numberOf(name: 'minutes' | 'kills' | 'every-ms' | 'seed'): number {
  const number = Number(values[name])
  if (!(number >= 0)) throw new TypeError(`Expected --${name} to be a number of 0 or more, got ${values[name]}`)
  return number
}

const plan = { minutes: numberOf('minutes'), kills: numberOf('kills'), everyMs: numberOf('every-ms') }
const seed = numberOf('seed')
// The ledger is on a local disk: appends through two mounts of a network filesystem overwrite each other.
const folder = await mkdtemp(join(tmpdir(), 'ptq-torture-'))
const [first, ...others] = await oneFolder(values.dir)
const interruption = new AbortController()
process.once('SIGINT', () => {
  console.log('Ctrl-C: ending, then comes the report; a second one leaves at once, without it')
  interruption.abort()
})
console.log(`Torturing queues in ${[first, ...others].join(' = ')}, seed ${seed}`)
const result = await torture({
  ...plan,
  seed,
  folder,
  queues: fileQueuesIn(first),
  views: others.map(fileQueuesIn),
  options: { progress: false },
  cast: { inserter: 1, uploader: 1, worker: 3, mover: 1, retrier: 1 },
  signal: interruption.signal,
  say: line => console.log(line),
})
const command = `npm run torture -- ${process.argv.slice(2).join(' ')}`
const occasion = { command, machine: describeMachine(first), date, seed, interrupted: interruption.signal.aborted }
console.log(`\n${reportOf(result, occasion)}\n`)
if (result.violations.length === 0) {
  for (const path of [folder, first]) await rm(path, { recursive: true })
} else {
  console.log(`The queues are in ${first}, the ledger and what the processes printed in ${folder}`)
  process.exitCode = 1
}
