// One of the processes of drain-processes.ts, with the bare loop.
import { BareQueue } from './bare-queue.js'

const [dir = '', index, parts] = process.argv.slice(2)
const queue = BareQueue.part(`${dir}/queue`, Number(index), Number(parts))
process.on('message', (count: number) => {
  for (let left = count; left > 0; left--) queue.finish()
  process.send?.(count)
})
process.send?.('ready')
