// Leaves a queue open, and results unread: nothing of that may keep the process alive.
import { LocalTaskQueue, partial } from 'ptq'
import { add } from '../tasks.js'

const lq = new LocalTaskQueue({ parallel: 2, progress: false })
console.log(await lq.insertAll([partial(add, 1, 2), partial(add, 3, 4)]))
function* endless() {
  for (;;) yield partial(add, 1, 2)
}
console.log((await lq.results(endless()).next()).value?.ok)
