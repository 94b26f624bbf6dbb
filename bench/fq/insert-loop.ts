// The floor of an insert.
import { runCase } from '../case.js'
import { countMany } from '../counter.js'
import { insertBare } from './floor.js'
import { QueueFolders, queued } from './folder.js'

await runCase(
  ({ dir }) => {
    const folders = new QueueFolders(dir)
    return {
      run(n) {
        insertBare(folders.next(), n)
        countMany(n)
      },
      close() {
        if (queued(folders.root) === 0) throw new Error(`Expected tasks in ${folders.root}`)
      },
    }
  },
  { warmUp: 2_000 },
)
