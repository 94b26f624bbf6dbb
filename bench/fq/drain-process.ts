// One of the processes of drain-processes.ts: drains as many tasks as it is told, and tells how many ran.
import { counted } from '../counter.js'
import { drain, openQueue } from './drain.js'

const [dir = ''] = process.argv.slice(2)
const tq = openQueue(dir)
process.on('message', async (count: number) => {
  const before = counted()
  await drain(tq, count)
  process.send?.(counted() - before)
})
process.on('disconnect', () => tq.close())
process.send?.('ready')
