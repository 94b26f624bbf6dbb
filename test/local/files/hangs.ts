// A file of tasks that does in a thread what its name says.
import { isMainThread } from 'node:worker_threads'
import { queueable } from 'ptq'

if (!isMainThread) await new Promise(() => undefined)

function run(index: number) {
  return index
}
export const hangs = queueable(run, { name: 'hangs' })
