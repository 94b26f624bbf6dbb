// A worker: see main.ts. Start as many as you like, here or on any machine that sees the folder of the queue.
import { TaskQueue } from 'ptq'
import './tasks.js'

const queue = process.argv[2] ?? './queue'
const tq = new TaskQueue(queue)
tq.events.on('failed', ({ task, error }) => console.error(`${task.id}: ${error}`))
console.log(`Working on ${tq.url}; Ctrl-C ends it when the running tasks have ended.`)
// A short lease: what a worker held when it was killed comes back after five seconds. Running tasks keep theirs.
const executed = await tq.poll({ parallel: 2, leaseSeconds: 5, maxBackoffSeconds: 2, tally: true })
console.log(`Executed: ${executed}`)
await tq.close()
