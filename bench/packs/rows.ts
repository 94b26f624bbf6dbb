/** The rows of `--scope packs`: many tasks in one message of a file queue, beside one task a message. */
import type { Contender, Row } from '../row.js'

const ALONE = 'ptq, a message for each task'

const insert = (name: string, settings: Record<string, number>): Contender => ({
  name,
  program: 'packs/insert-ptq.js',
  settings,
})

const drain = (name: string, settings: Record<string, number>): Contender => ({
  name,
  program: 'packs/drain-ptq.js',
  settings: { parallel: 0, ...settings },
})

/** The floor of packs of 100, in messages a second. */
const asMany = (program: string): Contender => ({
  name: 'the same calls in bare Node, a hundredth as many messages',
  program,
  share: 0.01,
})

const workers = (processes: number): Contender => ({
  name: processes === 1 ? '1 worker' : `${processes} workers`,
  program: 'fq/drain-processes.js',
  settings: { processes, pack: 100 },
})

export const PACK_ROWS: readonly Row[] = [
  {
    scope: 'packs',
    title: 'no-op tasks inserted into a file queue, one thread',
    n: 200_000,
    files: true,
    contenders: [
      insert('ptq, pack: 100', { pack: 100 }),
      { ...insert(ALONE, { pack: 1 }), share: 0.25 },
      insert('ptq, a slice of a million', { pack: 1_000_000, slices: 1 }),
      asMany('fq/insert-loop.js'),
    ],
    targets: [{ kind: 'times', rival: ALONE, atLeast: 8 }],
  },
  {
    scope: 'packs',
    title: 'no-op tasks leased, run and tallied by one worker, parallel: 0',
    n: 200_000,
    files: true,
    contenders: [
      drain('ptq, pack: 100', { pack: 100 }),
      { ...drain(ALONE, { pack: 1 }), share: 0.25 },
      drain('ptq, a slice of a million', { pack: 1_000_000, slices: 1 }),
      { name: 'ptq, LocalTaskQueue', program: 'local/noop-ptq.js', settings: { parallel: 0 } },
      asMany('fq/drain-loop.js'),
    ],
    targets: [
      { kind: 'times', rival: ALONE, atLeast: 8 },
      { kind: 'times', contender: 'ptq, a slice of a million', rival: 'ptq, LocalTaskQueue', atLeast: 0.8 },
    ],
  },
  {
    scope: 'packs',
    title: 'no-op tasks into a file queue and out of it, a million at a time',
    n: 1_000_000,
    files: true,
    contenders: [
      insert('in, pack: 1000', { pack: 1000 }),
      drain('out, pack: 1000, parallel: 0', { pack: 1000 }),
      { ...drain('out, pack: 1000, parallel: 2', { pack: 1000, parallel: 2 }), share: 0.2 },
    ],
    targets: [{ kind: 'tasksPerSecond', atLeast: 500_000 }],
  },
  {
    scope: 'packs',
    title: 'no-op tasks in packs of 100 leased, run and tallied by several workers',
    // Eight of them get 50,000 tasks each.
    n: 400_000,
    files: true,
    contenders: [
      workers(8),
      workers(1),
      { name: '1 bare loop', program: 'fq/drain-processes.js', settings: { processes: 1, bare: 1 }, share: 0.01 },
      { name: '8 bare loops', program: 'fq/drain-processes.js', settings: { processes: 8, bare: 1 }, share: 0.01 },
    ],
    targets: [
      { kind: 'times', rival: '1 worker', atLeast: 1 },
      { kind: 'lostRenames', under: 0.05 },
    ],
  },
  {
    scope: 'packs',
    title: 'no-op tasks inserted into SQS, one thread (a server that only confirms)',
    n: 200_000,
    contenders: [
      { name: 'ptq, pack: 100', program: 'sqs/insert-ptq.js', settings: { pack: 100 } },
      { name: ALONE, program: 'sqs/insert-ptq.js', share: 0.1 },
      { name: 'a loop over the SDK, a hundredth as many messages', program: 'sqs/insert-sdk.js', share: 0.01 },
    ],
    targets: [
      { kind: 'cpuMicros', atMost: 4 },
      { kind: 'requestsPerTask', atMost: 0.001 },
    ],
  },
]
