/** The rows of `--scope local`: tasks on the threads of this machine. */
import type { Row } from '../row.js'

const PISCINA = 'piscina.run for each task'

export const LOCAL_ROWS: readonly Row[] = [
  {
    scope: 'local',
    title: 'no-op tasks from a generator, two threads',
    n: 1_000_000,
    contenders: [
      { name: 'ptq, parallel: 2', program: 'local/noop-ptq.js', settings: { parallel: 2 } },
      { name: PISCINA, program: 'local/noop-piscina.js', settings: { parallel: 2 }, share: 0.05 },
      { name: 'Piscina, 256 tasks a message', program: 'local/noop-piscina-chunks.js', settings: { parallel: 2 } },
      { name: 'Python, parallel=2', program: 'python/local.py', settings: { parallel: 2 }, share: 0.005 },
    ],
    targets: [
      { kind: 'times', rival: PISCINA, atLeast: 10 },
      { kind: 'rssGrowthMb', under: 100 },
    ],
  },
  {
    scope: 'local',
    title: 'no-op tasks from a generator, in the calling thread',
    n: 1_000_000,
    contenders: [
      { name: 'ptq, parallel: 0', program: 'local/noop-ptq.js', settings: { parallel: 0 } },
      { name: 'a plain loop', program: 'local/noop-loop.js' },
      { name: 'Python, parallel=1', program: 'python/local.py', settings: { parallel: 1 }, share: 0.05 },
    ],
    targets: [{ kind: 'tasksPerSecond', atLeast: 500_000 }],
  },
  {
    scope: 'local',
    title: 'CPU-bound tasks of about 5 ms',
    n: 200,
    contenders: [
      { name: 'ptq, parallel: 2', program: 'local/spin-ptq.js', settings: { parallel: 2 } },
      { name: 'a plain loop', program: 'local/spin-loop.js' },
      { name: 'ptq, parallel: 1', program: 'local/spin-ptq.js', settings: { parallel: 1 } },
    ],
    targets: [{ kind: 'times', rival: 'a plain loop', atLeast: 1.9 }],
  },
  {
    scope: 'local',
    title: 'tasks that wait 10 ms, 50 at once in each of two threads',
    n: 50_000,
    contenders: [
      {
        name: 'ptq, concurrency: 50',
        program: 'local/wait-ptq.js',
        settings: { parallel: 2, concurrency: 50, ms: 10 },
      },
      { name: 'plain loops', program: 'local/wait-loop.js', settings: { atOnce: 100, ms: 10 } },
    ],
    targets: [{ kind: 'times', rival: 'plain loops', atLeast: 0.9 }],
  },
  {
    scope: 'local',
    title: 'one task of 2 s among no-op tasks',
    n: 100_000,
    contenders: [{ name: 'ptq, parallel: 2', program: 'local/slow-ptq.js', settings: { parallel: 2, slowMs: 2000 } }],
    // The duration of the slow task and a tenth more.
    targets: [{ kind: 'seconds', atMost: 2.2 }],
  },
]
