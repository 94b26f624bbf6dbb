/** The frame of a case: runs in a process of its own, warms up, measures, checks that the work was done, and reports. */
import { counted } from './counter.js'
import type { CaseParameters, Measurement } from './row.js'

/** The work of a case, ready to go. */
export interface Work {
  /** Does `n` tasks, each of which calls `countOne()`. */
  run(n: number): Promise<void> | void
  /** Lets the process exit. */
  close?(): Promise<void> | void
}

/**
 * Measures what `prepare` made ready. The warm-up runs `warmUp` tasks first, so that threads are there and code is hot.
 */
export async function runCase(
  prepare: (parameters: CaseParameters) => Promise<Work> | Work,
  options: { warmUp: number },
): Promise<void> {
  const parameters: CaseParameters = JSON.parse(process.argv[2] ?? '')
  const { n } = parameters
  const work = await prepare(parameters)
  await work.run(Math.min(n, options.warmUp))

  const countedBefore = counted()
  const rssBeforeMb = process.memoryUsage.rss() / 2 ** 20
  const cpuBefore = process.cpuUsage()
  const startMs = performance.now()
  await work.run(n)
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
    // maxRSS is in KiB, and of the whole life of the process: the warm-up's peak counts too.
    rssPeakMb: process.resourceUsage().maxRSS / 1024,
  }
  process.stdout.write(`${JSON.stringify(measurement)}\n`)
}

/** A setting of the case that has to be a number. */
export function numberOf(parameters: CaseParameters, name: string): number {
  const value = parameters.settings[name]
  if (typeof value !== 'number') throw new Error(`Expected the setting ${name} to be a number, got ${value}`)
  return value
}
