/** The rows of `--scope slices`: long sequences, inserted by threads. */
import type { Contender, Row } from '../row.js'
import { UPLOAD_ROWS } from '../uploads/rows.js'

const ONE = 'the calling thread'

const by = (parallel: number): Contender => ({
  name: parallel === 0 ? ONE : `parallel: ${parallel}`,
  program: 'slices/insert-ptq.js',
  settings: { queue: 'fq', parallel },
})

export const SLICE_ROWS: readonly Row[] = [
  {
    scope: 'slices',
    title: 'a sliceable sequence of no-op tasks into a file queue',
    n: 150_000,
    files: true,
    contenders: [by(2), by(0)],
    targets: [
      { kind: 'times', rival: ONE, atLeast: 1.6 },
      { kind: 'mainShare', under: 0.05 },
    ],
  },
  ...UPLOAD_ROWS,
  {
    scope: 'slices',
    title: 'a million tasks into a file queue',
    n: 1_000_000,
    large: true,
    files: true,
    contenders: [by(2)],
    targets: [
      { kind: 'mainShare', under: 0.05 },
      { kind: 'rssGrowthMb', under: 100 },
    ],
  },
]
