// A task in the script that starts the work, with the guard that the error message describes.
import { isMainThread } from 'node:worker_threads'
import { LocalTaskQueue, partial, queueable } from 'ptq'

const beside = queueable(function beside(x: number) {
  return x + 1
})

if (isMainThread) {
  await using lq = new LocalTaskQueue({ parallel: 2, progress: false })
  for await (const result of lq.results([partial(beside, 1)])) console.log(result.ok && result.value)
}
