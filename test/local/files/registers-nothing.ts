// A task file that does in a thread what its name says.
import { isMainThread } from 'node:worker_threads'
import { queueable } from 'ptq'

function run(index: number) {
  return index
}
export const registersNothing = isMainThread ? queueable(run, { name: 'registersNothing' }) : run
