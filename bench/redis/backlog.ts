// Leases and deletes while a given number of tasks is queued.
import { runBacklogCase } from '../server-cases.js'
import { startServer } from './server.js'

await runBacklogCase(async dir => {
  const server = await startServer(dir)
  return { url: server.url, close: () => server.stop() }
})
