/** The bench's results as a plain table. */
import type { RowResult } from './measure.js'
import type { Verdict } from './target.js'

const HEADINGS = ['', 'tasks', 'seconds', 'tasks/s', 'ours is', 'CPU µs/task', 'peak MB', '+MB']

/** A row with its contenders, one a line, and its targets. */
export function formatRow({ row, results }: RowResult, verdicts: readonly Verdict[]): string {
  const ours = results[0]?.tasksPerSecond ?? Number.NaN
  const lines = results.map(result => [
    result.contender,
    whole(result.n),
    result.seconds.toFixed(2),
    whole(result.tasksPerSecond),
    result === results[0] ? '' : `${short(ours / result.tasksPerSecond)} ×`,
    short(result.cpuMicrosPerTask),
    whole(result.rssPeakMb),
    whole(result.rssGrowthMb),
  ])
  const judged = verdicts.map(
    ({ target, measured, reached }) => `  ${reached ? 'reached' : 'MISSED '}  ${target}: ${short(measured)}`,
  )
  return [`${row.scope}: ${row.title}`, ...align([HEADINGS, ...lines]), ...judged, ''].join('\n')
}

function align(lines: readonly (readonly string[])[]): string[] {
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map(line => line[column]?.length ?? 0)))
  return lines.map(line => {
    const cells = line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
    )
    return `  ${cells.join('  ')}`.trimEnd()
  })
}

const whole = (value: number): string => Math.round(value).toLocaleString('en')

/** Three digits are more than noisy machines give. */
const short = (value: number): string => (value >= 100 ? whole(value) : String(Number(value.toPrecision(3))))
