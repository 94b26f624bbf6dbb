import { readdirSync } from 'node:fs'
import { LocalTaskQueue, partial, TaskQueue } from 'ptq'
import { countWords } from './tasks.js'

const tasks = readdirSync('docs').map(name => partial(countWords, `docs/${name}`))

// On all cores of this machine, with the result of each:
await using lq = new LocalTaskQueue({ parallel: true })
for await (const r of lq.results(tasks)) console.log(r.task.args[0], r.ok ? r.value : r.error.message)

// Through a queue that is a plain directory; start as many workers as you like, on any machine that sees it:
await using tq = new TaskQueue('fq://./queue')
await tq.insert(tasks)
console.log(await tq.poll({ parallel: 2, untilEmpty: true }), 'tasks done')
