// A thread of the ways 5 and 6: inserts its part, which was cut by hand.
import { workerData } from 'node:worker_threads'
import { TaskQueue } from 'ptq'
import { generated, Iterated } from './tasks.js'
import type { HandCut } from './ways.js'

const { url, options, form, start, end } = workerData as HandCut
await using tq = new TaskQueue(url, options)
await tq.insert(form === 'generator' ? generated(start, end) : new Iterated(start, end), { total: end - start })
