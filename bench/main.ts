// npm run bench -- --scope local,fq --n 10000 --rounds 3 --dir /mnt/disk --json
import { parseArgs } from 'node:util'
import { COMMAND_ROWS } from './commands/rows.js'
import { FQ_ROWS } from './fq/rows.js'
import { jsonRow } from './json-row.js'
import { LATENCY_ROWS } from './latency/rows.js'
import { LOCAL_ROWS } from './local/rows.js'
import { DEFAULT_PLACE, measureRow } from './measure.js'
import { PACK_ROWS } from './packs/rows.js'
import { POSTGRES_ROWS } from './postgres/rows.js'
import { REDIS_ROWS } from './redis/rows.js'
import type { Row } from './row.js'
import { SLICE_ROWS } from './slices/rows.js'
import { SQS_ROWS } from './sqs/rows.js'
import { formatRow, formatSummary } from './table.js'
import { judge, type Verdict } from './target.js'

const ROWS: readonly Row[] = [
  ...LOCAL_ROWS,
  ...FQ_ROWS,
  ...SQS_ROWS,
  ...POSTGRES_ROWS,
  ...REDIS_ROWS,
  ...SLICE_ROWS,
  ...PACK_ROWS,
  ...LATENCY_ROWS,
  ...COMMAND_ROWS,
]

const USAGE = `Usage: npm run bench -- [options]
  --scope NAME   only these rows (${[...new Set(ROWS.map(({ scope }) => scope))].join(', ')}); repeated or with commas
  --n COUNT      tasks in each row, instead of its own number
  --rounds COUNT how often each contender runs; medians are shown (default 3; 1 in large rows, and for who is in no target)
  --large        also the rows with a million queued tasks: ten minutes, 5 GB in --dir (fq)
  --dir PATH     where cases write, each in a new directory (default: ${DEFAULT_PLACE})
  --json         print JSON, one row a line
PTQ_PYTHON names a Python that can import taskqueue; without it, Python's rows are left out. BullMQ takes part after npm run bench:rivals.
Only ratios of one run mean something, and only on a machine that does nothing else.`

function argumentsOf(argv: string[]) {
  const { values } = parseArgs({
    args: argv,
    options: {
      scope: { type: 'string', multiple: true, default: [] },
      n: { type: 'string' },
      rounds: { type: 'string' },
      large: { type: 'boolean', default: false },
      dir: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  const count = (name: string, text: string | undefined) => {
    if (text === undefined) return undefined
    const value = Number(text)
    if (!Number.isSafeInteger(value) || value < 1) throw new Error(`Expected --${name} to be 1 or more, got ${text}`)
    return value
  }
  const scopes = values.scope.flatMap(list => list.split(','))
  for (const scope of scopes) {
    if (!ROWS.some(row => row.scope === scope)) throw new Error(`Expected --scope to have rows, got ${scope}`)
  }
  return {
    rows: ROWS.filter(
      ({ scope, large }) => (scopes.length === 0 || scopes.includes(scope)) && (values.large || !large),
    ),
    n: count('n', values.n),
    rounds: count('rounds', values.rounds),
    place: values.dir ?? DEFAULT_PLACE,
    json: values.json,
    help: values.help,
  }
}

async function main(): Promise<void> {
  const { rows, n, rounds, place, json, help } = argumentsOf(process.argv.slice(2))
  if (help) {
    console.log(USAGE)
    return
  }
  const onRound = (name: string) => {
    if (process.stderr.isTTY) process.stderr.write(`\x1b[2K\r${name}`)
  }
  const all: Verdict[] = []
  for (const row of rows) {
    const result = await measureRow(row, { n, rounds, place, onRound })
    if (process.stderr.isTTY) process.stderr.write('\x1b[2K\r')
    const verdicts = judge(result)
    all.push(...verdicts)
    console.log(json ? JSON.stringify(jsonRow(result, verdicts)) : formatRow(result, verdicts))
  }
  if (!json) console.log(formatSummary(all))
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  console.error(USAGE)
  process.exitCode = 1
}
