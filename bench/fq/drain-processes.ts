// Several worker processes drain one queue. Their start is not counted: each reports when it is ready, then all begin
// at once.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { partial, TaskQueue } from 'ptq'
import { numberOf, runCase, type Work } from '../case.js'
import { countMany } from '../counter.js'
import { noop } from '../local/tasks.js'
import { QueueFolders, requireDrained } from './folder.js'
import type { DrainOrder, DrainReport } from './worker-process.js'

await runCase(
  async (parameters): Promise<Work> => {
    const folders = new QueueFolders(parameters.dir)
    const bare = parameters.settings.bare === 1
    const pack = Number(parameters.settings.pack ?? 1)
    const workers = await Promise.all(Array.from({ length: numberOf(parameters, 'processes') }, startWorker))
    return {
      async fill(n) {
        if (pack === 1) await folders.fill(n)
        else await fillWithPacks(folders.next(), n, pack)
      },
      async run(n) {
        const { root } = folders
        const all = bare ? readdirSync(join(root, 'queue')) : []
        const part = (index: number) => (bare ? all.filter((_, at) => at % workers.length === index) : undefined)
        const orders = workers.map((worker, index) => ({ worker, order: { root, names: part(index) } }))
        const startMs = performance.now()
        const reports = await Promise.all(orders.map(({ worker, order }) => drain(worker, order)))
        const seconds = (performance.now() - startMs) / 1000
        requireDrained(folders.root, n)
        const total = (of: (report: DrainReport) => number) => reports.reduce((sum, report) => sum + of(report), 0)
        countMany(total(({ executed }) => executed))
        return {
          seconds,
          cpuSeconds: total(({ cpuSeconds }) => cpuSeconds),
          rssBeforeMb: Math.max(...reports.map(({ rssBeforeMb }) => rssBeforeMb)),
          rssPeakMb: Math.max(...reports.map(({ rssPeakMb }) => rssPeakMb)),
          lostRenames: total(({ lost }) => lost) / total(({ renames }) => renames),
        }
      },
      close() {
        for (const worker of workers) worker.disconnect()
      },
    }
  },
  // This number for each of them: each process compiles its own hot code.
  { warmUp: parameters => 20_000 * numberOf(parameters, 'processes') },
)

async function fillWithPacks(root: string, n: number, pack: number): Promise<void> {
  await using queue = new TaskQueue(`fq://${root}`, { progress: false })
  await queue.insert(
    Array.from({ length: n }, (_, index) => partial(noop, index)),
    { pack },
  )
}

async function startWorker(): Promise<ChildProcess> {
  const worker = fork(join(import.meta.dirname, 'worker-process.js'))
  await once(worker, 'message')
  return worker
}

async function drain(worker: ChildProcess, order: DrainOrder): Promise<DrainReport> {
  const reported = once(worker, 'message')
  worker.send(order)
  const [report] = await reported
  return report
}
