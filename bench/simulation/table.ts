/** Prints the results as a table. */
import type { Finding } from './simulation.js'

const COLUMNS: readonly (readonly [string, (finding: Finding) => string])[] = [
  ['latency ms', ({ latencyMs }) => String(latencyMs)],
  ['server/s', ({ requestsPerSecond }) => (requestsPerSecond === null ? 'any' : whole(requestsPerSecond))],
  ['task s', ({ taskSeconds }) => String(taskSeconds)],
  ['workers', ({ workers }) => whole(workers)],
  ['tasks', ({ tasks }) => whole(tasks)],
  // Results of before packs have no such number.
  ['pack', ({ pack = 1 }: Partial<Finding>) => whole(pack)],
  ['tasks/s', ({ tasksPerSecond }) => short(tasksPerSecond)],
  ['all in h', ({ queued, tasksPerSecond }) => short(queued / tasksPerSecond / 3600)],
  ['lost/lease', ({ lostPerLease }) => short(lostPerLease)],
  ['requests/task', ({ requestsPerTask }) => short(requestsPerTask)],
  ['of these status', ({ statusPerTask }) => short(statusPerTask)],
  ['names/task', ({ namesPerTask }) => short(namesPerTask)],
  ['requests/s', ({ requestsPerSecondMean }) => short(requestsPerSecondMean)],
  ['peak/s', ({ requestsPerSecondPeak }) => short(requestsPerSecondPeak)],
]

export function formatFindings(findings: readonly Finding[]): string {
  const table = [COLUMNS.map(([heading]) => heading), ...findings.map(each => COLUMNS.map(([, cell]) => cell(each)))]
  const widths = COLUMNS.map((_, column) => Math.max(...table.map(line => line[column]?.length ?? 0)))
  return table.map(line => line.map((cell, column) => cell.padStart(widths[column] ?? 0)).join('  ')).join('\n')
}

const whole = (value: number): string => Math.round(value).toLocaleString('en')
const short = (value: number): string => (value >= 100 ? whole(value) : String(Number(value.toPrecision(3))))
