// Prints the heap limit, in MB, of a thread without maxMemoryMb, of one with 60, and of the main thread, and why a task
// failed.
import { getHeapStatistics } from 'node:v8'
import { LocalTaskQueue, partial } from 'ptq'
import { fail } from '../bad-tasks.js'
import { heapLimitMb, shared } from '../tasks.js'

await using free = new LocalTaskQueue({ parallel: 1, progress: false })
await using limited = new LocalTaskQueue({ parallel: 1, progress: false, maxMemoryMb: 60 })
const limits = [await limited.run(partial(heapLimitMb)), await free.run(partial(heapLimitMb))]
const error = await limited.run([partial(fail, 'fillsHeap', 0), [shared(1)]]).catch((thrown: unknown) => thrown)
console.log(
  JSON.stringify({
    limited: limits[0],
    free: limits[1],
    main: getHeapStatistics().heap_size_limit / 2 ** 20,
    error: String(error),
  }),
)
