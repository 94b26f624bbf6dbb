/** Runs a case in a process of its own: warms up, measures, checks that the work was done, and reports. */
import { readFileSync } from 'node:fs'
import { counted } from './counter.js'
import type { CaseParameters, Measurement } from './row.js'

/** The work of a case, ready to go. */
export interface Work {
  /** Makes what the next run needs; not measured. */
  fill?(n: number): Promise<void> | void
  /**
   * Does `n` tasks, each of which calls `countOne()`.
   * @returns what only the work itself can measure; it takes the place of what the frame measured
   */
  run(n: number): RunResult | Promise<RunResult>
  /** Lets the process exit. */
  close?(): Promise<void> | void
}

// A case that measures nothing itself returns nothing.
// biome-ignore lint/suspicious/noConfusingVoidType: that is what a function without a `return` gives
type RunResult = Partial<Measurement> | void

/**
 * Measures what `prepare` made ready. The warm-up runs `warmUp` tasks first, at most as many as are measured, so that
 * threads are there and code is hot.
 */
export async function runCase(
  prepare: (parameters: CaseParameters) => Promise<Work> | Work,
  options: { warmUp: number | ((parameters: CaseParameters) => number) },
): Promise<void> {
  const parameters: CaseParameters = JSON.parse(process.argv[2] ?? '')
  const { n } = parameters
  const work = await prepare(parameters)
  const warmUp = Math.min(n, typeof options.warmUp === 'number' ? options.warmUp : options.warmUp(parameters))
  await work.fill?.(warmUp)
  await work.run(warmUp)

  await work.fill?.(n)
  const countedBefore = counted()
  const rssBeforeMb = process.memoryUsage.rss() / 2 ** 20
  const cpuBefore = process.cpuUsage()
  const startMs = performance.now()
  const own = await work.run(n)
  const seconds = (performance.now() - startMs) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  const tasks = counted() - countedBefore
  if (tasks !== n) throw new Error(`Expected ${n} tasks to run, but ${tasks} did: this measurement is worth nothing`)

  await work.close?.()
  const measurement: Measurement = {
    tasks,
    seconds,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    rssBeforeMb,
    rssPeakMb: peakRssMb(),
    ...own,
  }
  process.stdout.write(`${JSON.stringify(measurement)}\n`)
}

/** Over the whole life of the process, including the warm-up. */
function peakRssMb(): number {
  // On Linux maxRSS begins with what the process that started this one had: `VmHWM` doesn't (proc(5)). Both are in KiB.
  const status = process.platform === 'linux' ? readFileSync('/proc/self/status', 'utf8') : ''
  const peak = /^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1]
  return (peak === undefined ? process.resourceUsage().maxRSS : Number(peak)) / 1024
}

/** A setting of the case that has to be a number. */
export function numberOf(parameters: CaseParameters, name: string): number {
  const value = parameters.settings[name]
  if (typeof value !== 'number') throw new Error(`Expected the setting ${name} to be a number, got ${value}`)
  return value
}

/** A setting of the case that has to be a text. */
export function textOf(parameters: CaseParameters, name: string): string {
  const value = parameters.settings[name]
  if (typeof value !== 'string') throw new Error(`Expected the setting ${name} to be a text, got ${value}`)
  return value
}
