// A parameter sweep through a queue, collected into one table: npm run sweep [-- queue [threads]] > table.csv
// With 0 threads other workers do all of it: ptq poll queue --load build/examples/sweep/tasks.js
import { TaskQueue } from 'ptq'
import { type Parameters, type Row, train } from './tasks.js'

const inputs: Parameters[] = []
for (const rate of [0.01, 0.1, 1, 10]) {
  for (const momentum of [0, 0.5, 0.9]) {
    for (const seed of [1, 2, 3]) inputs.push({ rate, momentum, seed })
  }
}

await using tq = new TaskQueue(process.argv[2] ?? './sweep-queue')
const threads = Number(process.argv[3] ?? 2)
const end = new AbortController()
const worker = threads === 0 ? undefined : tq.poll({ parallel: threads, signal: end.signal })

// With a name the outcomes are kept: this program can be interrupted and started again, and trains nothing twice.
const rows: Row[] = []
for await (const result of tq.map(train, inputs, { run: 'sweep' })) {
  if (result.ok) rows.push(result.value)
  else console.error(inputs[result.index], result.error.message)
}
end.abort()
await worker

rows.sort((one, other) => one.loss - other.loss || one.seed - other.seed)
console.log('rate,momentum,seed,errors,loss')
for (const { rate, momentum, seed, errors, loss } of rows) console.log([rate, momentum, seed, errors, loss].join())
