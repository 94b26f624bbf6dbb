// npm run torture -- --minutes M [--kills N] [--every-ms MS] [--dir FOLDER] [--seed N]
// Several --dir are one folder through several mounts of a network filesystem, as several hosts see it.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { torture } from './chaos.js'
import { oneFolder } from './one-folder.js'
import { reportOf } from './report.js'
import type { View } from './troupe.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    kills: { type: 'string', default: '0' },
    'every-ms': { type: 'string', default: '1200' },
    dir: { type: 'string', multiple: true, default: [tmpdir()] },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})

function numberOf(name: 'minutes' | 'kills' | 'every-ms' | 'seed'): number {
  const number = Number(values[name])
  if (!(number >= 0)) throw new TypeError(`Expected --${name} to be a number of 0 or more, got ${values[name]}`)
  return number
}

function viewOf(path: string): View {
  return { queue: `fq://${path}/queue`, intake: `fq://${path}/intake` }
}

const plan = { minutes: numberOf('minutes'), kills: numberOf('kills'), everyMs: numberOf('every-ms') }
const seed = numberOf('seed')
// The ledger is on a local disk: appends through two mounts of a network filesystem overwrite each other.
const folder = await mkdtemp(join(tmpdir(), 'ptq-torture-'))
const [first, ...others] = await oneFolder(values.dir)
console.log(`Torturing fq://${first}/queue${others.map(path => ` = fq://${path}/queue`).join('')}, seed ${seed}`)
const result = await torture({
  ...plan,
  seed,
  folder,
  ...viewOf(first),
  views: others.map(viewOf),
  options: { progress: false },
  cast: { inserter: 1, uploader: 1, worker: 3, mover: 1, retrier: 1 },
  say: line => console.log(line),
})
console.log(reportOf(result))
if (result.violations.length === 0) {
  for (const path of [folder, first]) await rm(path, { recursive: true })
} else {
  console.log(`The queue is in ${first}, the ledger and what the processes printed are in ${folder}`)
  process.exitCode = 1
}
