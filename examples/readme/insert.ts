import { readdirSync } from 'node:fs'
import { partial, TaskQueue } from 'ptq'
import { countWords } from './tasks.js'

const paths = readdirSync('.').filter(path => /\.(json|md|ts)$/.test(path))
await using tq = new TaskQueue(process.argv[2] ?? './queue')
console.log('Inserted', await tq.insert(paths.map(path => partial(countWords, path))), 'into', tq.url)
