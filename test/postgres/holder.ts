/** A process that leases so many tasks, says so, and waits for its end. */
import { TaskQueue } from 'ptq'

const [url = '', numTasks = '', seconds = ''] = process.argv.slice(2)
const tq = new TaskQueue(url)
const tasks = await tq.lease({ seconds: Number(seconds), numTasks: Number(numTasks) })
console.log(tasks.length)
setInterval(() => undefined, 1_000)
