// The floor of a worker.
import { runCase } from '../case.js'
import { drainBare } from './floor.js'
import { QueueFolders, requireDrained } from './folder.js'

await runCase(
  ({ dir }) => {
    const folders = new QueueFolders(dir)
    return {
      async fill(n) {
        await folders.fill(n)
      },
      run(n) {
        drainBare(folders.root)
        requireDrained(folders.root, n)
      },
    }
  },
  { warmUp: 20_000 },
)
