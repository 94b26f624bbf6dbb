// Prints what a thread sees of the arguments of the process.
import { LocalTaskQueue } from 'ptq'
import { programArguments } from '../tasks.js'

await using lq = new LocalTaskQueue({ parallel: 1, progress: false })
for await (const result of lq.results([programArguments])) console.log(result.ok ? result.value : result.error)
