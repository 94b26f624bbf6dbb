// Leases and deletes while a given number of tasks is queued.
import { runBacklogCase } from '../server-cases.js'
import { startBenchServer } from './bench-server.js'

await runBacklogCase(async () => {
  const server = await startBenchServer()
  return { url: server.url('bench'), close: () => server.close() }
})
