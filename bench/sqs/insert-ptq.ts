// No-op tasks from a generator into SQS, on one thread.
import { TaskQueue } from 'ptq'
import { runCase } from '../case.js'
import { generated } from '../uploads/tasks.js'
import { countReceived } from './count-received.js'
import { ACCESS } from './line-process.js'
import { startSink } from './sink-process.js'

await runCase(
  async ({ settings }) => {
    const pack = Number(settings.pack ?? 1)
    const sink = await startSink({ checksums: true })
    const tq = new TaskQueue('sqs://bench', { ...ACCESS, endpoint: sink.endpoint, progress: false })
    return {
      run: n => countReceived(sink, n, () => tq.insert(generated(0, n), pack === 1 ? {} : { pack })),
      async close() {
        await tq.close()
        sink.close()
      },
    }
  },
  { warmUp: 10_000 },
)
