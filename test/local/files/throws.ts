// A task file that does in a thread what its name says.
import { isMainThread } from 'node:worker_threads'
import { queueable } from 'ptq'

if (!isMainThread) throw new Error('not in a thread', { cause: new RangeError('why') })

function run(index: number) {
  return index
}
export const throws = queueable(run, { name: 'throws' })
