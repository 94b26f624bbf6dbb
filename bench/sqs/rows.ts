/** The rows of `--scope sqs`. */
import type { Row } from '../row.js'

const LOOP = 'a loop over the SDK'
const PYTHON = 'boto3, 40 threads'
const ONE = 'the calling thread'

const slices = (parallel: number) => ({ program: 'slices/insert-ptq.js', settings: { queue: 'sqs', parallel } })

export const SQS_ROWS: readonly Row[] = [
  {
    scope: 'sqs',
    title: 'no-op tasks from a generator inserted, one thread (a server that only confirms)',
    n: 20_000,
    contenders: [
      { name: 'ptq', program: 'sqs/insert-ptq.js' },
      { name: LOOP, program: 'sqs/insert-sdk.js' },
      { name: PYTHON, program: 'python/sqs.py', settings: { threads: 40 }, share: 0.25 },
    ],
    targets: [
      { kind: 'cpuMicros', atMost: 50 },
      { kind: 'cpuTimes', rival: LOOP, atLeast: 1.8 },
      { kind: 'cpuTimes', rival: PYTHON, atLeast: 3 },
    ],
  },
  {
    scope: 'sqs',
    title: 'a sliceable sequence of no-op tasks inserted (a server that only confirms)',
    n: 40_000,
    contenders: [
      { name: 'parallel: 2', ...slices(2) },
      { name: ONE, ...slices(0) },
    ],
    targets: [
      { kind: 'times', rival: ONE, atLeast: 1.6 },
      { kind: 'mainShare', under: 0.05 },
    ],
  },
  {
    scope: 'sqs',
    title: 'no-op tasks received, run and deleted by one worker',
    n: 5_000,
    contenders: [
      { name: 'ptq, parallel: 0', program: 'sqs/drain-ptq.js', settings: { parallel: 0 } },
      { name: 'ptq, parallel: 1', program: 'sqs/drain-ptq.js', settings: { parallel: 1 } },
      { name: LOOP, program: 'sqs/drain-sdk.js' },
    ],
    // Two for ten tasks, and a tenth more for receives that are not full and those from the empty queue.
    targets: [
      { kind: 'requestsPerTask', atMost: 0.22 },
      { kind: 'requestsPerTask', contender: 'ptq, parallel: 1', atMost: 0.22 },
    ],
  },
]
