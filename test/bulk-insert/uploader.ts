// A process that uploads numbers under the name `killed`, with two threads: started by a test, which kills it.
import { TaskQueue } from 'ptq'
import { Numbers } from './sequences.js'

const [root = '', total = ''] = process.argv.slice(2)
await using tq = new TaskQueue(root, { progress: false })
await tq.insert(new Numbers(0, Number(total)), { parallel: 2, resume: 'killed' })
process.disconnect()
