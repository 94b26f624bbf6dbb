// Tasks that print and log, and are stopped.
import { LocalTaskQueue, partial } from 'ptq'
import { cork, printBytes, printThen } from '../output-tasks.js'

const lq = new LocalTaskQueue({ parallel: 1, progress: false })
const abort = new AbortController()
const ends = [
  lq.run(partial(printThen, 'spin'), { timeoutSeconds: 2 }),
  lq.run(partial(printThen, 'exit')),
  lq.run(partial(printThen, 'abort'), { signal: abort.signal }),
]
const settled = Promise.allSettled(ends)
await Promise.allSettled(ends.slice(0, 2))
await new LocalTaskQueue({ parallel: 1, progress: false, maxMemoryMb: 40 })
  .run(partial(printThen, 'memory'))
  .catch(() => undefined)
abort.abort()
await settled
await lq.run(partial(cork))
await lq.run(partial(printBytes))
console.log('end')
process.exit()
