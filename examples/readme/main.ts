import { readdirSync } from 'node:fs'
import { LocalTaskQueue, partial } from 'ptq'
import { countWords } from './tasks.js'

const paths = readdirSync('.').filter(path => /\.(json|md|ts)$/.test(path))
await using lq = new LocalTaskQueue({ parallel: 2 })
for await (const result of lq.results(paths.map(path => partial(countWords, path)))) {
  console.log(result.task.args[0], result.ok ? result.value : result.error.message)
}
