// Runs endless tasks until a line on stdin. Arguments: parallel, and `abort` to use an AbortSignal.
import { LocalTaskQueue, partial, type TaskInput } from 'ptq'
import { blockUntil, countLater, shared } from '../tasks.js'

const [parallel = '1', how] = process.argv.slice(2)
const stop = new AbortController()
const lq = new LocalTaskQueue({ parallel: Number(parallel), progress: false, signal: stop.signal })
const counts = shared(3)
process.stdin.once('data', () => {
  Atomics.store(counts, 0, 1)
  process.stdin.destroy()
})
process.on('SIGINT', () => console.log('heard'))

function* tasks(): Generator<TaskInput> {
  for (;;) yield Number(parallel) === 0 ? [partial(countLater, 1, 10), [counts]] : [partial(blockUntil, 0, 1), [counts]]
}

const said = setInterval(() => {
  if (Atomics.load(counts, 1) < Math.max(1, Number(parallel))) return
  clearInterval(said)
  console.log('begun')
  if (how === 'abort') stop.abort(new Error('enough'))
}, 1)

try {
  await lq.insertAll(tasks())
} catch (error) {
  const { name, message } = error as Error
  console.log(JSON.stringify({ name, ran: Number(/(\d+) tasks? ran/.exec(message)?.[1]), begun: counts[1] }))
} finally {
  await lq.close()
  process.stdin.destroy()
}
