/** The rows of `--scope fq`: a queue that is a plain directory. On which disk is said by `--dir`; tmpfs shows our own part. */
import type { Row } from '../row.js'

const LOOP = 'a bare loop of the same calls'
// Its default; without threads it is faster where the disk is in memory.
const PYTHON = 'Python, 40 threads'
const ONE_PROCESS = 'ptq, 1 process'
const SHORT_QUEUE = 'ptq, 10,000 queued'
const ONE_AT_A_TIME = 'ptq, concurrency: 1'

export const FQ_ROWS: readonly Row[] = [
  {
    scope: 'fq',
    title: 'insert no-op tasks from a generator, one thread',
    n: 50_000,
    contenders: [
      { name: 'ptq', program: 'fq/insert-ptq.js' },
      { name: LOOP, program: 'fq/insert-loop.js' },
      { name: PYTHON, program: 'python/fq.py', settings: { verb: 'insert', threads: 40 }, share: 0.1 },
      { name: 'Python, no threads', program: 'python/fq.py', settings: { verb: 'insert', threads: 0 }, share: 0.1 },
    ],
    targets: [
      { kind: 'times', rival: LOOP, atLeast: 0.8 },
      { kind: 'times', rival: PYTHON, atLeast: 6 },
    ],
  },
  {
    scope: 'fq',
    title: 'lease, run, delete and tally no-op tasks, one process',
    n: 50_000,
    contenders: [
      { name: 'ptq', program: 'fq/drain-ptq.js' },
      { name: LOOP, program: 'fq/drain-loop.js' },
      { name: PYTHON, program: 'python/fq.py', settings: { verb: 'drain', threads: 40 }, share: 0.02 },
    ],
    targets: [
      { kind: 'times', rival: LOOP, atLeast: 0.6 },
      { kind: 'times', rival: PYTHON, atLeast: 10 },
    ],
  },
  {
    scope: 'fq',
    title: 'the same by two processes at once',
    n: 50_000,
    contenders: [
      { name: 'ptq, 2 processes', program: 'fq/drain-processes.js', settings: { processes: 2 } },
      { name: ONE_PROCESS, program: 'fq/drain-processes.js', settings: { processes: 1 } },
      { name: 'a bare loop in 2 processes', program: 'fq/drain-processes.js', settings: { processes: 2, bare: 1 } },
      { name: 'a bare loop in 1 process', program: 'fq/drain-processes.js', settings: { processes: 1, bare: 1 } },
    ],
    targets: [{ kind: 'times', rival: ONE_PROCESS, atLeast: 1.5 }],
  },
  {
    scope: 'fq',
    title: 'the same by eight processes at once',
    n: 50_000,
    contenders: [
      { name: 'ptq, 8 processes', program: 'fq/drain-processes.js', settings: { processes: 8 } },
      { name: ONE_PROCESS, program: 'fq/drain-processes.js', settings: { processes: 1 } },
      { name: 'a bare loop in 8 processes', program: 'fq/drain-processes.js', settings: { processes: 8, bare: 1 } },
    ],
    targets: [{ kind: 'times', rival: ONE_PROCESS, atLeast: 1 }],
  },
  {
    scope: 'fq',
    title: 'lease, run and delete where 1,000,000 tasks are queued',
    n: 10_000,
    contenders: [
      { name: 'ptq, 1,000,000 queued', program: 'fq/drain-ptq.js', settings: { queued: 1_000_000 } },
      { name: SHORT_QUEUE, program: 'fq/drain-ptq.js', settings: { queued: 10_000 } },
    ],
    targets: [
      { kind: 'times', rival: SHORT_QUEUE, atLeast: 0.7 },
      { kind: 'rssGrowthMb', under: 250 },
    ],
  },
  {
    scope: 'fq',
    title: 'insert and drain where a call to the filesystem takes 2 ms',
    n: 2_000,
    contenders: [
      { name: 'ptq, concurrency: 40', program: 'fq/slow-ptq.js', settings: { concurrency: 40 } },
      { name: ONE_AT_A_TIME, program: 'fq/slow-ptq.js', settings: { concurrency: 1 }, share: 0.05 },
    ],
    targets: [{ kind: 'times', rival: ONE_AT_A_TIME, atLeast: 20 }],
  },
]
