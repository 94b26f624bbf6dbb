/** The rows of `--scope latency`: how long single tasks wait. Rates are those of one task after the other. */
import type { Contender, Row } from '../row.js'

const TASKS = 200

const queue = (protocol: string, until: string): Contender => ({
  name: `${protocol}://`,
  program: 'latency/queue-ptq.js',
  settings: { protocol, until },
})

export const LATENCY_ROWS: readonly Row[] = [
  {
    scope: 'latency',
    title: "from a task's insert to its start, one idle worker that looks every millisecond",
    n: TASKS,
    files: true,
    contenders: [queue('fq', 'start'), queue('mem', 'start')],
    targets: [],
  },
  {
    scope: 'latency',
    title: "from a task's insert to its removal as the inserter sees it, the same worker",
    n: TASKS,
    files: true,
    contenders: [queue('fq', 'removal'), queue('mem', 'removal')],
    targets: [],
  },
  {
    scope: 'latency',
    title: 'from insertAll([one task]) to its end, threads started before',
    n: TASKS,
    contenders: [
      { name: 'ptq, parallel: 1', program: 'latency/local-ptq.js', settings: { parallel: 1 } },
      { name: 'ptq, parallel: 0', program: 'latency/local-ptq.js', settings: { parallel: 0 } },
      { name: 'piscina.run', program: 'latency/local-piscina.js' },
    ],
    targets: [],
  },
]
