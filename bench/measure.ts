/** Runs the contenders of a row in turn, each in a process of its own, and takes medians over the rounds. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { hasRival } from './rivals.js'
import type { CaseParameters, Contender, Measurement, Row } from './row.js'

/** The measurements of a contender, medians over the rounds. */
export interface Result {
  readonly contender: string
  /** Tasks a round. */
  readonly n: number
  readonly rounds: number
  readonly seconds: number
  readonly tasksPerSecond: number
  readonly cpuMicrosPerTask: number
  readonly rssPeakMb: number
  readonly rssGrowthMb: number
  readonly p50Ms: number | undefined
  readonly p99Ms: number | undefined
  readonly lostRenames: number | undefined
  readonly firstMs: number | undefined
  readonly mainShare: number | undefined
  readonly requestsPerTask: number | undefined
}

export interface RowResult {
  readonly row: Row
  /** The directory of the cases' files. */
  readonly place: string
  readonly results: readonly Result[]
}

/** Memory where there is a filesystem in it: disks differ, and slow down for a while after many deletions. */
export const DEFAULT_PLACE = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** The number of runs of a contender. Medians need three; contenders without a target, and large rows, run once. */
function roundsOf({ large, contenders, targets }: Row, contender: Contender): number {
  const isJudged = targets.some(target => {
    const ours = 'contender' in target ? target.contender : undefined
    const rival = 'rival' in target ? target.rival : undefined
    return contender.name === (ours ?? contenders[0]?.name) || contender.name === rival
  })
  return isJudged && !large ? 3 : 1
}

/** @param settings `n`, `rounds`: instead of the row's own; `place`: the directory for the cases' files */
export async function measureRow(
  row: Row,
  settings: { n: number | undefined; rounds: number | undefined; place: string; onRound(name: string): void },
): Promise<RowResult> {
  const roundsFor = (contender: Contender) => settings.rounds ?? roundsOf(row, contender)
  const python = process.env.PTQ_PYTHON
  const contenders = row.contenders.filter(
    ({ program, package: name }) =>
      (python !== undefined || !program.endsWith('.py')) && (name === undefined || hasRival(name)),
  )
  const tasksOf = (contender: Contender) => Math.max(1, Math.round((settings.n ?? row.n) * (contender.share ?? 1)))
  const measured = new Map<Contender, Measurement[]>(contenders.map(contender => [contender, []]))
  // Round by round, not contender by contender: other work of the machine then affects all of them equally.
  const most = Math.max(...contenders.map(roundsFor))
  for (let round = 0; round < most; round++) {
    for (const [contender, measurements] of measured) {
      const rounds = roundsFor(contender)
      if (round >= rounds) continue
      settings.onRound(`${row.title}: ${contender.name}, round ${round + 1} of ${rounds}`)
      measurements.push(await measureOnce(contender, tasksOf(contender), settings.place))
    }
  }
  const results = [...measured].map(([contender, measurements]): Result => {
    const median = (of: (measurement: Measurement) => number) => medianOf(measurements.map(of))
    const some = (of: (measurement: Measurement) => number | undefined) => {
      const values = measurements.flatMap(measurement => of(measurement) ?? [])
      return values.length === 0 ? undefined : medianOf(values)
    }
    return {
      contender: contender.name,
      n: tasksOf(contender),
      rounds: measurements.length,
      seconds: median(({ seconds }) => seconds),
      tasksPerSecond: median(({ tasks, seconds }) => tasks / seconds),
      cpuMicrosPerTask: median(({ tasks, cpuSeconds }) => (cpuSeconds * 1e6) / tasks),
      rssPeakMb: median(({ rssPeakMb }) => rssPeakMb),
      rssGrowthMb: median(({ rssPeakMb, rssBeforeMb }) => rssPeakMb - rssBeforeMb),
      p50Ms: some(({ p50Ms }) => p50Ms),
      p99Ms: some(({ p99Ms }) => p99Ms),
      lostRenames: some(({ lostRenames }) => lostRenames),
      firstMs: some(({ firstMs }) => firstMs),
      mainShare: some(({ mainShare }) => mainShare),
      requestsPerTask: some(({ requests, tasks }) => (requests === undefined ? undefined : requests / tasks)),
    }
  })
  return { row, place: settings.place, results }
}

async function measureOnce({ program, settings }: Contender, n: number, place: string): Promise<Measurement> {
  const dir = await mkdtemp(join(place, 'ptq-bench-'))
  const parameters: CaseParameters = { n, dir, settings: settings ?? {} }
  const command = program.endsWith('.py') ? (process.env.PTQ_PYTHON ?? 'python3') : process.execPath
  // Python's script is not compiled, so it stays beside the sources.
  const file = join(import.meta.dirname, program.endsWith('.py') ? '../../bench' : '.', program)
  try {
    const { stdout } = await promisify(execFile)(command, [file, JSON.stringify(parameters)], {
      maxBuffer: 2 ** 26,
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    })
    const measurement: Measurement = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
    if (measurement.tasks !== n) throw new Error(`Expected ${n} tasks to be done, got ${measurement.tasks}`)
    return measurement
  } catch (cause) {
    throw new Error(`Expected ${program} to measure ${n} tasks, but it failed: ${String(cause)}`, { cause })
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function medianOf(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted[sorted.length >> 1] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[(sorted.length >> 1) - 1] ?? Number.NaN)) / 2
}
