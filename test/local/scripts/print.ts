// Tasks print much from two threads; the process exits as soon as they are done.
import { LocalTaskQueue, partial } from 'ptq'
import { print } from '../tasks.js'

await new LocalTaskQueue({ parallel: 2, progress: false }).insertAll([1, 2, 3, 4].map(() => partial(print, 500)))
process.exit()
