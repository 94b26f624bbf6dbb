// From the insert of one task to its start by an idle worker of the same process, by the library that the setting
// names.
import { partial, TaskQueue } from 'ptq'
import { runCase, textOf } from '../case.js'
import { measureWaits } from '../latency/waits.js'
import { noop } from '../local/tasks.js'
import { jobOptions, loadBullMq } from './bullmq.js'
import { type BenchServer, startServer } from './server.js'

interface Idle {
  insert(): Promise<unknown>
  close(): Promise<void>
}

function ptq({ url }: BenchServer, started: () => void): Idle {
  const inserter = new TaskQueue(url, { progress: false })
  const worker = new TaskQueue(url, { progress: false })
  const stop = new AbortController()
  const working = worker.poll({ parallel: 0, signal: stop.signal, beforeFn: started })
  return {
    insert: () => inserter.insert(partial(noop, 0)),
    async close() {
      stop.abort()
      await working
      await worker.close()
      await inserter.close()
    },
  }
}

function bullmq({ port }: BenchServer, started: () => void): Idle {
  const { Queue, Worker } = loadBullMq()
  const connection = { port, maxRetriesPerRequest: null }
  const queue = new Queue('bench', { connection })
  const work = async () => {
    noop(0)
    started()
  }
  const worker = new Worker('bench', work, { connection, concurrency: 1, autorun: false })
  const running = worker.run()
  return {
    insert: () => queue.add('noop', {}, jobOptions),
    async close() {
      await worker.close()
      await running
      await queue.close()
    },
  }
}

const idles = { ptq, bullmq }

await runCase(
  async parameters => {
    const server = await startServer(parameters.dir)
    let onStart: (() => void) | undefined
    const idle = idles[textOf(parameters, 'by') as keyof typeof idles](server, () => onStart?.())
    return {
      run: n =>
        measureWaits(n, async () => {
          const startMs = performance.now()
          const started = new Promise<void>(resolve => {
            onStart = resolve
          })
          await idle.insert()
          await started
          return performance.now() - startMs
        }),
      async close() {
        await idle.close()
        server.stop()
      },
    }
  },
  { warmUp: 20 },
)
