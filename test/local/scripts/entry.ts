// A task beside the code that starts the work, without a guard. Argument: parallel.
import { LocalTaskQueue, partial, queueable } from 'ptq'

const beside = queueable(function beside(x: number) {
  return x + 1
})

console.log('started')
const lq = new LocalTaskQueue({ parallel: Number(process.argv[2]), progress: false })
console.log(await lq.insertAll([partial(beside, 1)]))
