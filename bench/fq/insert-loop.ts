// The floor of an insert.
import { runCase } from '../case.js'
import { countMany } from '../counter.js'
import { insertBare } from './floor.js'
import { QueueFolders, requireQueued } from './folder.js'

await runCase(
  ({ dir }) => {
    const folders = new QueueFolders(dir)
    let inserted = 0
    return {
      run(n) {
        insertBare(folders.next(), n)
        countMany(n)
        inserted = n
      },
      close: () => requireQueued(folders.root, inserted),
    }
  },
  { warmUp: 20_000 },
)
