// One worker leases no-op tasks from Redis, runs and deletes them.
import { runDrainCase } from '../server-cases.js'
import { startServer } from './server.js'

await runDrainCase(
  async dir => {
    const server = await startServer(dir)
    return { url: server.url, close: () => server.stop() }
  },
  { warmUp: 1_000 },
)
