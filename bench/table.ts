/** The bench's results as a plain table. */
import type { Result, RowResult } from './measure.js'
import type { Verdict } from './target.js'

type Cell = (result: Result, ours: Result | undefined) => string

/** Headings and cells; a column that is empty in all lines is left out. */
const COLUMNS: readonly (readonly [heading: string, cell: Cell])[] = [
  ['', ({ contender }) => contender],
  ['tasks', ({ n }) => whole(n)],
  ['seconds', ({ seconds }) => seconds.toFixed(2)],
  ['tasks/s', ({ tasksPerSecond }) => whole(tasksPerSecond)],
  ['ours is', (result, ours) => (result === ours ? '' : `${short(rate(ours) / rate(result))} ×`)],
  ['CPU µs/task', ({ cpuMicrosPerTask }) => short(cpuMicrosPerTask)],
  ['peak MB', ({ rssPeakMb }) => whole(rssPeakMb)],
  ['+MB', ({ rssGrowthMb }) => whole(rssGrowthMb)],
  ['requests/task', ({ requestsPerTask }) => (requestsPerTask === undefined ? '' : short(requestsPerTask))],
  ['p50 ms', ({ p50Ms }) => (p50Ms === undefined ? '' : short(p50Ms))],
  ['p99 ms', ({ p99Ms }) => (p99Ms === undefined ? '' : short(p99Ms))],
  ['first ms', ({ firstMs }) => (firstMs === undefined ? '' : short(firstMs))],
  ['main %', ({ mainShare }) => (mainShare === undefined ? '' : short(mainShare * 100))],
  ['lost %', ({ lostRenames }) => (lostRenames === undefined ? '' : short(lostRenames * 100))],
]

const rate = (result: Result | undefined): number => result?.tasksPerSecond ?? Number.NaN

/** A row with its contenders, one a line, and its targets. */
export function formatRow({ row, place, results }: RowResult, verdicts: readonly Verdict[]): string {
  const lines = results.map(result => COLUMNS.map(([, cell]) => cell(result, results[0])))
  const judged = verdicts.map(({ target, measured, reached }) => {
    if (reached === undefined) return `  not measured  ${target}`
    return `  ${reached ? 'reached' : 'MISSED '}  ${target}: ${short(measured)}`
  })
  const where = row.files ? ` (in ${place})` : ''
  return [`${row.scope}: ${row.title}${where}`, ...align(lines), ...judged, ''].join('\n')
}

/** The number of targets of all rows that were reached. */
export function formatSummary(verdicts: readonly Verdict[]): string {
  const having = (wanted: boolean | undefined) => verdicts.filter(({ reached }) => reached === wanted).length
  const absent = having(undefined)
  const rest = absent === 0 ? '' : `, ${absent} not measured (Python's need PTQ_PYTHON)`
  return `${verdicts.length} targets: ${having(true)} reached, ${having(false)} missed${rest}`
}

function align(lines: readonly (readonly string[])[]): string[] {
  const filled = COLUMNS.map(([heading], column) => ({ heading, column })).filter(({ column }) =>
    lines.some(line => line[column] !== ''),
  )
  const table = [
    filled.map(({ heading }) => heading),
    ...lines.map(line => filled.map(({ column }) => line[column] ?? '')),
  ]
  const widths = filled.map((_, column) => Math.max(...table.map(line => line[column]?.length ?? 0)))
  return table.map(line => {
    const cells = line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    return `  ${cells.join('  ')}`.trimEnd()
  })
}

const whole = (value: number): string => Math.round(value).toLocaleString('en')

/** Three digits are more than noisy machines give. */
const short = (value: number): string => (value >= 100 ? whole(value) : String(Number(value.toPrecision(3))))
