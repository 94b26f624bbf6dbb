/** The report of a torture, as Markdown: two tables, and what was broken. */
import type { TortureResult } from './chaos.js'

export interface Occasion {
  readonly command: string
  readonly machine: string
  readonly date: Date
  readonly seed: number
  /** It was ended early, by hand. */
  readonly interrupted: boolean
}

export function reportOf(result: TortureResult, occasion: Occasion): string {
  const { violations } = result
  return [
    `\`${occasion.command}\`, seed ${occasion.seed}, ${occasion.date.toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    '',
    occasion.machine,
    '',
    ...(occasion.interrupted ? ['Ended early, by hand: this is how far it came.', ''] : []),
    ...tableOf(
      ['what', 'how many'],
      [
        ['minutes', result.minutes.toFixed(1)],
        ['processes started', result.processes],
        ['killed or asked to stop', result.killed],
        ['stopped and continued', result.stopped],
        ['tasks whose insert was acknowledged', result.tasks],
        ['runs', result.runs],
        ['attempts that failed, as they were made to', result.failedAttempts],
        ['tasks brought back from the dead letters', result.retries],
        ...(result.faults.size > 0
          ? []
          : [
              ['copies of the live queue that were compared', result.liveCopies],
              ['times that the folder of the depot went away', result.vanished],
            ]),
        ...(result.python.tasks + result.python.runs === 0
          ? []
          : [
              ['tasks that Python inserted', result.python.tasks],
              ['runs by Python workers', result.python.runs],
            ]),
        ['leases that were lost, and told so', result.leasesLost],
        ['duplicate runs', result.duplicates],
        ['– by a worker that was killed or lost its lease', result.duplicatesByWorkers],
        ['– of a task that a kill in the middle of a move left in two places', result.duplicatesByCopies],
        ...(result.faults.size === 0
          ? []
          : [
              [
                '– of a task that SQS was sent twice: a lost reply, a batch cut off by a kill',
                result.duplicatesBySending,
              ],
              [
                '– of a task that was deleted just after its lease ended, which SQS tells nobody',
                result.duplicatesByLateDeletes,
              ],
            ]),
        ...(['main', 'intake', 'transit', 'depot'] as const).map((place): [string, number | string] => [
          `counted as inserted into ${place}${place === 'main' || place === 'depot' ? ', with those that moved there' : ''}`,
          known(result.counts.inserted[place]),
        ]),
        ['counted as completed', known(result.counts.completed)],
        ['dead letters (tasks that always fail, or end their worker)', result.deadLetters],
        ['**lost tasks**', result.lost],
        ['**promises that were broken**', violations.length],
      ],
    ),
    '',
    ...tableOf(['who', 'SIGKILL', 'SIGTERM', 'SIGSTOP, SIGCONT'], signalRows(result.signals)),
    ...(result.faults.size > 0
      ? ['', ...tableOf(['fault of the server', 'how often'], [...result.faults].sort())]
      : []),
    ...(violations.length > 0 ? ['', ...violations.map(violation => `- BROKEN: ${violation}`)] : []),
  ].join('\n')
}

function known(count: number): number | string {
  return Number.isNaN(count) ? 'not known on SQS' : count
}

function signalRows(signals: ReadonlyMap<string, number>): (string | number)[][] {
  const roles = new Set([...signals.keys()].map(signal => signal.replace(/^\w+ /, '')))
  return [...roles]
    .sort()
    .map(role => [
      role.replace('ptq-', 'ptq '),
      ...['SIGKILL', 'SIGTERM', 'SIGSTOP'].map(signal => signals.get(`${signal} ${role}`) ?? 0),
    ])
}

function tableOf(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const cells = [head, ...rows].map(row => row.map(String))
  const widths = head.map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)))
  const lines = cells.map(
    row =>
      `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`,
  )
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(Math.max(1, width - 1))}:`)).join(' | ')} |`
  return [lines[0] ?? '', rule, ...lines.slice(1)]
}
