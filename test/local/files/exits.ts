// A task file that does in a thread what its name says.
import { isMainThread } from 'node:worker_threads'
import { queueable } from 'ptq'

if (!isMainThread) process.exit(7)

function run(index: number) {
  return index
}
export const exits = queueable(run, { name: 'exits' })
