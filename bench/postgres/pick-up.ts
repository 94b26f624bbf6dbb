// From the insert of one task to its start by an idle worker of the same process.
import { partial, TaskQueue } from 'ptq'
import { runCase } from '../case.js'
import { measureWaits } from '../latency/waits.js'
import { noop } from '../local/tasks.js'
import { startBenchServer } from './bench-server.js'

await runCase(
  async () => {
    const server = await startBenchServer()
    const url = server.url('bench')
    const inserter = new TaskQueue(url, { progress: false })
    const worker = new TaskQueue(url, { progress: false })
    const stop = new AbortController()
    let onStart: (() => void) | undefined
    const working = worker.poll({ parallel: 0, signal: stop.signal, beforeFn: () => onStart?.() })
    return {
      run: n =>
        measureWaits(n, async () => {
          const startMs = performance.now()
          const started = new Promise<void>(resolve => {
            onStart = resolve
          })
          await inserter.insert(partial(noop, 0))
          await started
          return performance.now() - startMs
        }),
      async close() {
        stop.abort()
        await working
        await worker.close()
        await inserter.close()
        await server.close()
      },
    }
  },
  { warmUp: 20 },
)
