/** The torture as a command, see docs/reliability.md. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { torture } from './chaos.js'
import { type Fixture, fileFixture, postgresFixture, redisFixture, sqsFixture } from './fixtures.js'
import { describeMachine } from './machine.js'
import { oneFolder } from './one-folder.js'
import { reportOf } from './report.js'
import { makeElsewhere } from './second-filesystem.js'

const USAGE = `npm run torture -- [options]

Processes work on queues and are killed at random; then each task and count is compared. See docs/reliability.md.

  --minutes M        how long (2); also until --kills N processes were killed or asked to stop (0)
  --every-ms MS      mean time between two signals (1200)
  --queue KIND       fq, sqs, sqs-fifo, postgres or redis (fq)
  --dir FOLDER       where the queues are (the folder for temporary files); several are one folder through several mounts of a
                     network filesystem, as several hosts see it
  --across FOLDER    on another filesystem, for moves between the two (in memory)
  --python           Python's inserters and workers beside ours; real ones where PTQ_PYTHON names a Python that has taskqueue
  --pack N           some tasks are in packs of N (fq)
  --seed N           repeats the choices of a run, not its timing
  -h, --help         prints this`

const date = new Date()
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    kills: { type: 'string', default: '0' },
    'every-ms': { type: 'string', default: '1200' },
    queue: { type: 'string', default: 'fq' },
    across: { type: 'string' },
    python: { type: 'boolean', default: false },
    pack: { type: 'string' },
    dir: { type: 'string', multiple: true, default: [tmpdir()] },
    help: { type: 'boolean', short: 'h', default: false },
    seed: { type: 'string', default: String(date.getTime() % 1_000_000) },
  },
})

if (values.help) {
  console.log(USAGE)
  process.exit()
}

function numberOf(name: 'minutes' | 'kills' | 'every-ms' | 'seed'): number {
  const number = Number(values[name])
  if (!(number >= 0)) throw new TypeError(`Expected --${name} to be a number of 0 or more, got ${values[name]}`)
  return number
}

const plan = { minutes: numberOf('minutes'), kills: numberOf('kills'), everyMs: numberOf('every-ms') }
const kinds = ['fq', 'sqs', 'sqs-fifo', 'postgres', 'redis']
if (!kinds.includes(values.queue)) {
  throw new TypeError(`Expected --queue to be one of ${kinds.join(', ')}, got ${values.queue}`)
}
const seed = numberOf('seed')
// The ledger is on a local disk: appends through two mounts of a network filesystem overwrite each other.
const folder = await mkdtemp(join(tmpdir(), 'ptq-torture-'))
const places = await oneFolder(values.dir)
const interruption = new AbortController()
process.once('SIGINT', () => {
  console.log('Ctrl-C: ending, then comes the report; a second one leaves at once, without it')
  interruption.abort()
})
console.log(`Torturing queues in ${places.join(' = ')}, seed ${seed}`)
const elsewhere = await makeElsewhere(places[0], values.across)
const fixture = await makeFixture(values.queue)
const result = await torture({
  ...plan,
  seed,
  folder,
  ...fixture,
  workers: 3,
  signal: interruption.signal,
  say: line => console.log(line),
})
await fixture.close()
const command = `npm run torture -- ${process.argv.slice(2).join(' ')}`
const occasion = { command, machine: describeMachine(places[0]), date, seed, interrupted: interruption.signal.aborted }
console.log(`\n${reportOf(result, occasion)}\n`)
if (result.violations.length === 0) {
  for (const path of [elsewhere, folder, places[0]]) await rm(path, { recursive: true })
} else {
  console.log(`The queues are in ${places[0]} and ${elsewhere}, the ledger and what the processes printed in ${folder}`)
  process.exitCode = 1
}

function packOption(): { pack?: number } {
  const { pack } = values
  if (pack === undefined) return {}
  if (!(Number(pack) >= 2) || values.queue !== 'fq') {
    throw new TypeError(
      `Expected --pack to be a number of 2 or more, with --queue fq, got ${pack} with ${values.queue}`,
    )
  }
  return { pack: Number(pack) }
}

function makeFixture(kind: string): Fixture | Promise<Fixture> {
  if (kind === 'fq') return fileFixture(places, elsewhere, { python: values.python, ...packOption() })
  if (kind === 'postgres') return postgresFixture(places[0], elsewhere)
  if (kind === 'redis') return redisFixture(places[0], elsewhere, join(folder, 'ledger'))
  return sqsFixture(places[0], join(folder, 'ledger'), seed, { fifo: kind === 'sqs-fifo' })
}
