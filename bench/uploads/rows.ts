/** The seven ways to fill a queue, on the file queue and on SQS: part of `--scope slices`. */
import type { Contender, Row } from '../row.js'
import { WAYS } from './ways.js'

/** The slow ways do a part of the tasks: one call a task, and (SQS) one request at a time. */
const SHARES: Readonly<Record<string, readonly number[]>> = { fq: [0.1], sqs: [0.05, 0.5, 0.5] }

const ways = (queue: 'fq' | 'sqs'): Contender[] =>
  WAYS.map(({ name }, index) => ({
    name,
    program: 'uploads/upload.js',
    settings: { way: index + 1, queue },
    share: SHARES[queue]?.[index] ?? 1,
    // The best first: it is ptq's.
  })).reverse()

export const UPLOAD_ROWS: readonly Row[] = [
  {
    scope: 'slices',
    title: 'seven ways to fill a file queue',
    n: 50_000,
    files: true,
    contenders: ways('fq'),
    targets: [],
  },
  {
    scope: 'slices',
    title: 'seven ways to fill a queue on SQS (a server that only confirms)',
    n: 20_000,
    contenders: ways('sqs'),
    targets: [],
  },
]
