// Leases tasks until it holds as many as it is told, says so, and holds them until it is killed: node leaser-process.js URL COUNT
import { TaskQueue } from 'ptq'

const [url = '', count = ''] = process.argv.slice(2)
const tq = new TaskQueue(url, { progress: false })
const leases = []
while (leases.length < Number(count)) {
  leases.push(...(await tq.lease({ numTasks: Number(count) - leases.length, seconds: 3 })))
}
process.send?.(leases.length)
setInterval(() => undefined, 60_000)
