// No-op tasks inserted into PostgreSQL, by whom the setting says.
import { partial, TaskQueue } from 'ptq'
import { runCase, textOf } from '../case.js'
import { countMany } from '../counter.js'
import { noop } from '../local/tasks.js'
import { BATCH, openBareQueue } from './bare-sql.js'
import { databaseOf, startBenchServer } from './bench-server.js'
import type { PostgresServer } from './server.js'

interface Inserter {
  insert(n: number): Promise<unknown>
  close(): Promise<void>
}

function ptq(server: PostgresServer): Inserter {
  const tq = new TaskQueue(server.url('bench'), { progress: false })
  function* tasks(n: number) {
    for (let index = 0; index < n; index++) yield partial(noop, index)
  }
  return { insert: n => tq.insert(tasks(n)), close: () => tq.close() }
}

async function bare(server: PostgresServer): Promise<Inserter> {
  const queue = await openBareQueue(databaseOf(server))
  return {
    async insert(n) {
      for (let start = 0; start < n; start += BATCH) {
        const count = Math.min(BATCH, n - start)
        await queue.insert(Array.from({ length: count }, (_, i) => JSON.stringify({ args: [start + i] })))
      }
    },
    close: () => queue.close(),
  }
}

const inserters = { ptq, bare }

await runCase(
  async parameters => {
    const server = await startBenchServer()
    const inserter = await inserters[textOf(parameters, 'by') as keyof typeof inserters](server)
    return {
      async run(n) {
        await inserter.insert(n)
        countMany(n)
      },
      async close() {
        await inserter.close()
        await server.close()
      },
    }
  },
  { warmUp: 1_000 },
)
