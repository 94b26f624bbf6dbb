// npm run torture -- --minutes M [--kills N] [--every-ms MS] [--dir FOLDER] [--seed N]
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { torture } from './chaos.js'
import { describeMachine } from './machine.js'
import { reportOf } from './report.js'

const date = new Date()
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    kills: { type: 'string', default: '0' },
    'every-ms': { type: 'string', default: '1200' },
    dir: { type: 'string', default: tmpdir() },
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
const folder = await mkdtemp(join(values.dir, 'ptq-torture-'))
const interruption = new AbortController()
process.once('SIGINT', () => {
  console.log('Ctrl-C: ending, then comes the report; a second one leaves at once, without it')
  interruption.abort()
})
console.log(`Torturing queues in ${folder}, seed ${seed}`)
const url = (name: string) => `fq://${folder}/${name}`
const result = await torture({
  ...plan,
  seed,
  folder,
  queues: { main: url('queue'), intake: url('intake'), transit: url('transit'), backup: url('backup') },
  options: { progress: false },
  cast: { inserter: 1, uploader: 1, worker: 3, mover: 1, retrier: 1 },
  signal: interruption.signal,
  say: line => console.log(line),
})
const command = `npm run torture -- ${process.argv.slice(2).join(' ')}`
const occasion = { command, machine: describeMachine(folder), date, seed, interrupted: interruption.signal.aborted }
console.log(`\n${reportOf(result, occasion)}\n`)
if (result.violations.length === 0) await rm(folder, { recursive: true })
else {
  console.log(`The queues, the ledger and what the processes printed are in ${folder}`)
  process.exitCode = 1
}
