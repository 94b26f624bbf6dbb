// No-op tasks inserted into Redis, by the library that the setting names.
import { randomUUID } from 'node:crypto'
import { partial, TaskQueue } from 'ptq'
import { runCase, textOf } from '../case.js'
import { countMany } from '../counter.js'
import { noop } from '../local/tasks.js'
import { BATCH, openBareQueue } from './bare-scripts.js'
import { jobOptions, loadBullMq } from './bullmq.js'
import { type BenchServer, startServer } from './server.js'

interface Inserter {
  insert(n: number): Promise<unknown>
  close(): Promise<void> | void
}

function ptq({ url }: BenchServer): Inserter {
  const tq = new TaskQueue(url, { progress: false })
  function* tasks(n: number) {
    for (let index = 0; index < n; index++) yield partial(noop, index)
  }
  return { insert: n => tq.insert(tasks(n)), close: () => tq.close() }
}

async function bare({ port }: BenchServer): Promise<Inserter> {
  const queue = await openBareQueue(port)
  return {
    async insert(n) {
      for (let start = 0; start < n; start += BATCH) {
        const count = Math.min(BATCH, n - start)
        const pairs = Array.from({ length: count }, (_, i) => [randomUUID(), JSON.stringify({ args: [start + i] })])
        await queue.insert(pairs.flat())
      }
    },
    close: () => queue.close(),
  }
}

function bullmq({ port }: BenchServer): Inserter {
  const queue = new (loadBullMq().Queue)('bench', { connection: { port, maxRetriesPerRequest: null } })
  return {
    async insert(n) {
      for (let start = 0; start < n; start += 1_000) {
        const count = Math.min(1_000, n - start)
        const job = (i: number) => ({ name: 'noop', data: { args: [start + i] }, opts: jobOptions })
        await queue.addBulk(Array.from({ length: count }, (_, i) => job(i)))
      }
    },
    close: () => queue.close(),
  }
}

const inserters = { ptq, bare, bullmq }

await runCase(
  async parameters => {
    const server = await startServer(parameters.dir)
    const inserter = await inserters[textOf(parameters, 'by') as keyof typeof inserters](server)
    return {
      async run(n) {
        await inserter.insert(n)
        countMany(n)
      },
      async close() {
        await inserter.close()
        server.stop()
      },
    }
  },
  { warmUp: 1_000 },
)
