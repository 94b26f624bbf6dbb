// Draining by `processes` processes at once, by ptq or (`bare`) by the bare loop, each on its part; their start is not measured. CPU and memory are those of this process only.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { runCase } from '../case.js'
import { countOne } from '../counter.js'
import { fill, openQueue } from './drain.js'

// A process has to be warm too: what it compiles in its first thousand tasks is its start.
const WARM_UP_EACH = 2_000

const { settings } = JSON.parse(process.argv[2] ?? '')
const processes = Number(settings.processes)

const start = (dir: string, index: number) =>
  fork(join(import.meta.dirname, settings.bare ? 'drain-process-bare.js' : 'drain-process.js'), [
    dir,
    String(index),
    String(processes),
  ])

await runCase(
  async ({ dir, n }) => {
    const tq = openQueue(dir)
    await fill(tq, n + WARM_UP_EACH * processes)
    await tq.close()
    const workers = Array.from({ length: processes }, (_, index) => start(dir, index))
    await Promise.all(workers.map(worker => once(worker, 'message')))
    return {
      async run(count) {
        const share = Math.floor(count / processes)
        const done = await Promise.all(
          workers.map(async (worker, index) => {
            worker.send(index === 0 ? count - share * (processes - 1) : share)
            const [finished] = await once(worker, 'message')
            return Number(finished)
          }),
        )
        for (let counted = done.reduce((sum, each) => sum + each, 0); counted > 0; counted--) countOne()
      },
      close() {
        for (const worker of workers) worker.disconnect()
      },
    }
  },
  { warmUp: WARM_UP_EACH * processes },
)
