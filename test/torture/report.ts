/** The report of a torture, as text. */
import type { TortureResult } from './chaos.js'

export function reportOf(result: TortureResult): string {
  const { signals, violations } = result
  const rows: [string, string | number][] = [
    ['minutes', result.minutes.toFixed(1)],
    ['processes started', result.processes],
    ['killed or asked to stop', result.killed],
    ['stopped and continued', result.stopped],
    ...[...signals].sort().map(([name, count]): [string, number] => [`  ${name}`, count]),
    ['tasks whose insert was acknowledged', result.tasks],
    ['runs', result.runs],
    ['attempts that failed, as they were made to', result.failedAttempts],
    ['leases that were lost, and told so', result.leasesLost],
    ['duplicate runs', result.duplicates],
    ['  by a worker that was killed or lost its lease', result.duplicatesByWorkers],
    ['  of a task that a kill in the middle of a move left in two places', result.duplicatesByCopies],
    ['dead letters (tasks that always fail)', result.deadLetters],
    ['promises that were broken', violations.length],
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`)
  return [...lines, ...violations.map(violation => `BROKEN: ${violation}`)].join('\n')
}
