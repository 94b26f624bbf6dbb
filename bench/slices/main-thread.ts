/** Measures the main thread's share of the CPU time of a process. */
import { readFileSync } from 'node:fs'

/** CPU seconds of the main thread; `undefined` on systems other than Linux. */
function mainThreadSeconds(): number | undefined {
  if (process.platform !== 'linux') return undefined
  // Nanoseconds on a CPU; see Documentation/scheduler/sched-stats.rst of Linux. The main thread has the process's number.
  const [nanoseconds] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')
  return Number(nanoseconds) / 1e9
}

/** The main thread's part of the CPU time that the process needs for `work`, from 0 to 1. */
export async function mainThreadShare(work: () => Promise<unknown>): Promise<number | undefined> {
  const cpuBefore = process.cpuUsage()
  const before = mainThreadSeconds()
  await work()
  const after = mainThreadSeconds()
  const { user, system } = process.cpuUsage(cpuBefore)
  return before === undefined || after === undefined ? undefined : (after - before) / ((user + system) / 1e6)
}
