// A worker process: polls a queue, prints a line after a given number of tasks, and at its end how many it executed.
// Argument: a WorkerOrder as JSON.
import { once } from 'node:events'
import { type PollOptions, TaskQueue } from 'ptq'
import './poll-tasks.js'
import { ACCESS } from './queue.js'

export interface WorkerOrder {
  readonly queue: string
  readonly endpoint: string
  readonly poll: PollOptions
  /** Prints a line after this number of tasks. */
  readonly sayAfter?: number
  /** Starts no task before it was asked to stop. */
  readonly untilStopped?: boolean
}

const { queue, endpoint, poll, sayAfter, untilStopped }: WorkerOrder = JSON.parse(process.argv[2] ?? '')
const tq = new TaskQueue(queue, { ...ACCESS, endpoint, emptyWindowSeconds: 0 })
let succeeded = 0
tq.events.on('succeeded', () => {
  if (++succeeded === sayAfter) console.log(`${succeeded} tasks succeeded`)
})
const stopped = once(process, 'SIGTERM').then(() => console.log('asked to stop'))
console.log(`Executed: ${await tq.poll({ ...poll, ...(untilStopped && { beforeFn: () => stopped }) })}`)
await tq.close()
