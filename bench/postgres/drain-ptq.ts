// One worker leases no-op tasks from PostgreSQL, runs and deletes them.
import { runDrainCase } from '../server-cases.js'
import { startBenchServer } from './bench-server.js'

await runDrainCase(
  async () => {
    const server = await startBenchServer()
    return { url: server.url('bench'), close: () => server.close() }
  },
  { warmUp: 5_000 },
)
