// The guard is there, but does not guard: without further care each thread would start threads that start threads.
import { isMainThread } from 'node:worker_threads'
import { LocalTaskQueue, partial, queueable } from 'ptq'

const beside = queueable(function beside(x: number) {
  return x + 1
})

if (isMainThread) console.log('started')
const lq = new LocalTaskQueue({ parallel: 2, progress: false })
try {
  await lq.insertAll([partial(beside, 1)])
} finally {
  await lq.close()
}
