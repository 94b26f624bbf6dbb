/** The rows of `--scope packs`: many tasks in one message of a file queue, beside one task a message. */
import type { Contender, Row } from '../row.js'

const ALONE = 'a message for each task'

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

export const PACK_ROWS: readonly Row[] = [
  {
    scope: 'packs',
    title: 'no-op tasks inserted into a file queue, one thread',
    n: 200_000,
    files: true,
    contenders: [
      insert('pack: 100', { pack: 100 }),
      { ...insert(ALONE, { pack: 1 }), share: 0.25 },
      insert('a slice of a million', { pack: 1_000_000, slices: 1 }),
    ],
    targets: [{ kind: 'times', rival: ALONE, atLeast: 8 }],
  },
  {
    scope: 'packs',
    title: 'no-op tasks leased, run and tallied by one worker, parallel: 0',
    n: 200_000,
    files: true,
    contenders: [
      drain('pack: 100', { pack: 100 }),
      { ...drain(ALONE, { pack: 1 }), share: 0.25 },
      drain('a slice of a million', { pack: 1_000_000, slices: 1 }),
      { name: 'LocalTaskQueue, parallel: 0', program: 'local/noop-ptq.js', settings: { parallel: 0 } },
    ],
    targets: [
      { kind: 'times', rival: ALONE, atLeast: 8 },
      { kind: 'times', contender: 'a slice of a million', rival: 'LocalTaskQueue, parallel: 0', atLeast: 0.8 },
    ],
  },
]
