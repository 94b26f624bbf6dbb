/** The rows of `--scope redis`. Each contender has a server of its own, without persistence. */
import type { Row } from '../row.js'

const BARE = 'bare scripts, batches of 100'
const BULLMQ = 'BullMQ, concurrency: 100'
const QUEUED = 1_000_000
const FEW = 10_000

const by = (name: string) => ({ program: 'redis/insert.js', settings: { by: name } })
const pickUp = (name: string) => ({ program: 'redis/pick-up.js', settings: { by: name } })
const backlog = (queued: number) => ({ program: 'redis/backlog.js', settings: { queued } })

export const REDIS_ROWS: readonly Row[] = [
  {
    scope: 'redis',
    title: 'no-op tasks inserted',
    n: 50_000,
    contenders: [
      { name: 'ptq', ...by('ptq') },
      { name: BARE, ...by('bare') },
      { name: 'BullMQ, addBulk of 1,000', ...by('bullmq'), package: 'bullmq' },
    ],
    targets: [],
  },
  {
    scope: 'redis',
    title: 'no-op tasks leased, run and deleted by one worker',
    n: 50_000,
    contenders: [
      { name: 'ptq, parallel: 0', program: 'redis/drain-ptq.js', settings: { parallel: 0 } },
      { name: 'ptq, parallel: 1', program: 'redis/drain-ptq.js', settings: { parallel: 1 } },
      { name: BARE, program: 'redis/drain-bare.js' },
      { name: BULLMQ, program: 'redis/drain-bullmq.js', settings: { concurrency: 100 }, package: 'bullmq' },
    ],
    targets: [
      { kind: 'times', rival: BARE, atLeast: 0.6 },
      { kind: 'times', rival: BULLMQ, atLeast: 3 },
    ],
  },
  {
    scope: 'redis',
    title: "from a task's insert to its start by an idle worker",
    n: 200,
    contenders: [
      { name: 'ptq', ...pickUp('ptq') },
      { name: 'BullMQ', ...pickUp('bullmq'), package: 'bullmq' },
    ],
    targets: [],
  },
  {
    scope: 'redis',
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
