/** The rows of `--scope fq`: the file queue. */
import type { Row } from '../row.js'

const LOOP = 'the same calls in bare Node'
const PYTHON = 'Python, 40 threads'

const insertPython = { program: 'python/fq.py', share: 0.04 } as const
const drainPython = { program: 'python/fq.py', share: 0.02 } as const

const slow = (concurrency: number) => ({ operationMs: 2, concurrency, parallel: 0 })

const workers = (processes: number) => ({
  name: processes === 1 ? '1 worker' : `${processes} workers`,
  program: 'fq/drain-processes.js',
  settings: { processes },
})

/** The limit of the kernel for processes in one folder, without looking for tasks and without lost races. */
const loops = (processes: number) => ({
  name: processes === 1 ? '1 bare loop' : `${processes} bare loops`,
  program: 'fq/drain-processes.js',
  settings: { processes, bare: 1 },
  share: 0.5,
})

export const FQ_ROWS: readonly Row[] = [
  {
    scope: 'fq',
    title: 'no-op tasks from a generator inserted, one thread',
    n: 100_000,
    files: true,
    contenders: [
      { name: 'ptq', program: 'fq/insert-ptq.js' },
      { name: LOOP, program: 'fq/insert-loop.js' },
      { name: PYTHON, settings: { verb: 'insert', threads: 40 }, ...insertPython },
      { name: 'Python, no threads', settings: { verb: 'insert', threads: 0 }, ...insertPython },
    ],
    targets: [
      { kind: 'times', rival: LOOP, atLeast: 0.8 },
      { kind: 'times', rival: PYTHON, atLeast: 6 },
    ],
  },
  {
    scope: 'fq',
    title: 'no-op tasks leased, run, removed and tallied by one worker',
    n: 60_000,
    files: true,
    contenders: [
      { name: 'ptq, parallel: 0', program: 'fq/drain-ptq.js', settings: { parallel: 0 } },
      { name: 'ptq, parallel: 1', program: 'fq/drain-ptq.js', settings: { parallel: 1 } },
      { name: 'ptq, parallel: 2', program: 'fq/drain-ptq.js', settings: { parallel: 2 } },
      { name: LOOP, program: 'fq/drain-loop.js' },
      { name: 'Python', settings: { verb: 'drain', threads: 40 }, ...drainPython },
    ],
    targets: [
      { kind: 'times', rival: LOOP, atLeast: 0.6 },
      { kind: 'times', contender: 'ptq, parallel: 1', rival: LOOP, atLeast: 0.6 },
      { kind: 'times', rival: 'Python', atLeast: 10 },
    ],
  },
  {
    scope: 'fq',
    title: 'one queue drained by worker processes that are there already',
    // Eight of them get 12,500 tasks each, and as many to get warm.
    n: 100_000,
    files: true,
    contenders: [workers(2), workers(1), workers(8), loops(1), loops(2), loops(8)],
    targets: [
      { kind: 'times', rival: '1 worker', atLeast: 1.5 },
      { kind: 'times', contender: '8 workers', rival: '1 worker', atLeast: 1 },
      { kind: 'lostRenames', under: 0.05 },
    ],
  },
  {
    scope: 'fq',
    title: 'inserted where each operation takes 2 ms',
    n: 2_000,
    files: true,
    contenders: [
      { name: 'concurrency: 40', program: 'fq/insert-ptq.js', settings: slow(40) },
      { name: 'concurrency: 1', program: 'fq/insert-ptq.js', settings: slow(1), share: 0.05 },
    ],
    targets: [{ kind: 'times', rival: 'concurrency: 1', atLeast: 20 }],
  },
  {
    scope: 'fq',
    title: 'leased, run and removed where each operation takes 2 ms',
    n: 2_000,
    files: true,
    contenders: [
      { name: 'concurrency: 40', program: 'fq/drain-ptq.js', settings: slow(40) },
      { name: 'concurrency: 1', program: 'fq/drain-ptq.js', settings: slow(1), share: 0.05 },
    ],
    targets: [{ kind: 'times', rival: 'concurrency: 1', atLeast: 20 }],
  },
  {
    scope: 'fq',
    title: 'a million tasks inserted',
    n: 1_000_000,
    files: true,
    large: true,
    contenders: [{ name: 'ptq', program: 'fq/insert-ptq.js' }],
    targets: [{ kind: 'rssGrowthMb', under: 100 }],
  },
  {
    scope: 'fq',
    title: 'leases from a long queue',
    n: 1_000_000,
    files: true,
    large: true,
    contenders: [
      { name: '100,000 of 1,000,000', program: 'fq/lease-ptq.js', settings: { queuedPerLease: 10 }, share: 0.1 },
      { name: '10,000 of 10,000', program: 'fq/lease-ptq.js', settings: { queuedPerLease: 1 }, share: 0.01 },
    ],
    targets: [{ kind: 'times', rival: '10,000 of 10,000', atLeast: 0.7 }],
  },
  {
    scope: 'fq',
    title: 'a long queue drained by one worker',
    n: 1_000_000,
    files: true,
    large: true,
    contenders: [
      { name: '1,000,000 tasks', program: 'fq/drain-ptq.js', settings: { parallel: 0 } },
      { name: '10,000 tasks', program: 'fq/drain-ptq.js', settings: { parallel: 0 }, share: 0.01 },
    ],
    targets: [
      { kind: 'times', rival: '10,000 tasks', atLeast: 0.7 },
      { kind: 'rssPeakMb', under: 250 },
    ],
  },
]
