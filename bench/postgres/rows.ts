/** The rows of `--scope postgres`. Each contender has a server of its own, whose commits are durable. */
import type { Row } from '../row.js'

const BARE = 'bare SQL, batches of 100'
const QUEUED = 1_000_000
const FEW = 10_000

const by = (name: string) => ({ program: 'postgres/insert.js', settings: { by: name } })
const drain = (parallel: number) => ({ program: 'postgres/drain-ptq.js', settings: { parallel } })
const backlog = (queued: number) => ({ program: 'postgres/backlog.js', settings: { queued } })

export const POSTGRES_ROWS: readonly Row[] = [
  {
    scope: 'postgres',
    title: 'no-op tasks inserted',
    n: 50_000,
    contenders: [
      { name: 'ptq', ...by('ptq') },
      { name: BARE, ...by('bare') },
    ],
    targets: [],
  },
  {
    scope: 'postgres',
    title: 'no-op tasks leased, run and deleted by one worker',
    n: 50_000,
    contenders: [
      { name: 'ptq, parallel: 0', ...drain(0) },
      { name: 'ptq, parallel: 1', ...drain(1) },
      { name: BARE, program: 'postgres/drain-bare.js' },
    ],
    targets: [{ kind: 'times', rival: BARE, atLeast: 0.6 }],
  },
  {
    scope: 'postgres',
    title: "from a task's insert to its start by an idle worker",
    n: 200,
    contenders: [{ name: 'ptq', program: 'postgres/pick-up.js' }],
    targets: [],
  },
  {
    scope: 'postgres',
    title: 'tasks leased and deleted in batches, beside so many that stay',
    n: 5_000,
    large: true,
    contenders: [
      { name: `${QUEUED.toLocaleString('en')} queued`, ...backlog(QUEUED) },
      { name: `${FEW.toLocaleString('en')} queued`, ...backlog(FEW) },
    ],
    targets: [{ kind: 'times', rival: `${FEW.toLocaleString('en')} queued`, atLeast: 0.8 }],
  },
]
