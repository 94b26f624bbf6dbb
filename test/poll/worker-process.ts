// A worker process: `fork(this, [url, options as JSON, names of events as JSON])`. Sends `{ name, id }` at each of
// these events, and `{ ran }` at the end.
import { TaskQueue, type WorkerEventMap } from 'ptq'
import './tasks.js'
import type { WorkerWord } from './processes.js'

const [url = '', options = '{}', names = '[]'] = process.argv.slice(2)
const say = (word: WorkerWord) => process.send?.(word)

const tq = new TaskQueue(url, { progress: false })
for (const name of JSON.parse(names) as (keyof WorkerEventMap)[]) {
  tq.events.on(name, happened => say({ name, id: 'task' in happened ? happened.task.id : '' }))
}
// Added after the worker's own listeners: it has begun to stop when this is sent.
const tell = (signal: NodeJS.Signals) =>
  setImmediate(() => say({ name: signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM', id: '' }))
process.on('SIGINT', tell).on('SIGTERM', tell)
try {
  const { until, ...others } = JSON.parse(options)
  say({ ran: await tq.poll({ ...others, ...(until !== undefined && { until: new Date(until) }) }) })
} finally {
  await tq.close()
  process.off('SIGINT', tell).off('SIGTERM', tell)
  process.disconnect()
}
