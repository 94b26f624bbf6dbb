// A worker of drain-processes.ts: drains each queue that it is sent.
import { TaskQueue } from 'ptq'
import { nodeFileSystem } from '#ptq/backends/fq/node-files.js'
import '../local/tasks.js'
import { drainBare } from './floor.js'

/** The work of a worker. */
export interface DrainOrder {
  readonly root: string
  /** Its part of the names, for the bare loop; `undefined`: a ptq worker, which finds its tasks itself. */
  readonly names: readonly string[] | undefined
}

/** The report of a worker about one queue. */
export interface DrainReport {
  readonly executed: number
  readonly cpuSeconds: number
  readonly rssBeforeMb: number
  readonly rssPeakMb: number
  /** Renames, and those of them that found the task's file gone. */
  readonly renames: number
  readonly lost: number
}

/** Short, so that the last worker ends soon after the last task. */
const WINDOW_SECONDS = 0.01

async function drain(root: string): Promise<DrainReport> {
  let renames = 0
  let lost = 0
  const { blocking } = nodeFileSystem
  const counting: typeof blocking.rename = (from, to, how) => {
    const won = blocking.rename(from, to, how)
    renames++
    if (won === false) lost++
    return won
  }
  const fileSystem = { ...nodeFileSystem, blocking: { ...blocking, rename: counting } }
  const rssBeforeMb = process.memoryUsage.rss() / 2 ** 20
  const cpuBefore = process.cpuUsage()
  const queue = new TaskQueue(`fq://${root}`, { progress: false, fileSystem })
  const executed = await queue.poll({
    parallel: 0,
    tally: true,
    untilEmpty: true,
    minBackoffSeconds: WINDOW_SECONDS,
    maxBackoffSeconds: WINDOW_SECONDS,
  })
  await queue.close()
  const { user, system } = process.cpuUsage(cpuBefore)
  const rssPeakMb = process.resourceUsage().maxRSS / 1024
  return { executed, cpuSeconds: (user + system) / 1e6, rssBeforeMb, rssPeakMb, renames, lost }
}

/** The floor: a part of the names is given, so no folder is read, and no race is lost. */
function drainPart({ root, names }: { root: string; names: readonly string[] }): DrainReport {
  const rssBeforeMb = process.memoryUsage.rss() / 2 ** 20
  const cpuBefore = process.cpuUsage()
  drainBare(root, names)
  const { user, system } = process.cpuUsage(cpuBefore)
  const rssPeakMb = process.resourceUsage().maxRSS / 1024
  const cpuSeconds = (user + system) / 1e6
  return { executed: names.length, cpuSeconds, rssBeforeMb, rssPeakMb, renames: names.length, lost: 0 }
}

process.on('message', ({ root, names }: DrainOrder) => {
  if (names !== undefined) process.send?.(drainPart({ root, names }))
  else void drain(root).then(report => process.send?.(report))
})
process.send?.('ready')
