// npm run torture -- --minutes M [--kills N] [--every-ms MS] [--dir FOLDER] [--seed N]
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { torture } from './chaos.js'
import { reportOf } from './report.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    kills: { type: 'string', default: '0' },
    'every-ms': { type: 'string', default: '1200' },
    dir: { type: 'string', default: tmpdir() },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
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
console.log(`Torturing fq://${folder}/queue, seed ${seed}`)
const result = await torture({
  ...plan,
  seed,
  folder,
  queue: `fq://${folder}/queue`,
  intake: `fq://${folder}/intake`,
  options: { progress: false },
  cast: { inserter: 1, uploader: 1, worker: 3, mover: 1, retrier: 1 },
  say: line => console.log(line),
})
console.log(reportOf(result))
if (result.violations.length === 0) await rm(folder, { recursive: true })
else {
  console.log(`The queue, the ledger and what the processes printed are in ${folder}`)
  process.exitCode = 1
}
