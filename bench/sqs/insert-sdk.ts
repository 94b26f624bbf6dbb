// The competitor of an insert: a plain loop over the SDK with its defaults, 40 batches of 10 in flight.
import { randomUUID } from 'node:crypto'
import { SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs'
import { runCase } from '../case.js'
import { countReceived } from './count-received.js'
import { ACCESS } from './line-process.js'
import { startSink } from './sink-process.js'

const IN_FLIGHT = 40
const BATCH = 10

/** The same body that ptq sends. */
function bodyOf(index: number): string {
  return JSON.stringify({ payload: [['tasks', 'work'], [index], {}, -1], queueName: 'bench', id: randomUUID() })
}

await runCase(
  async () => {
    const sink = await startSink({ checksums: true })
    const client = new SQSClient({ ...ACCESS, endpoint: sink.endpoint })
    const QueueUrl = `${sink.endpoint}/000000000000/bench`
    async function insert(n: number): Promise<void> {
      let next = 0
      const lane = async (): Promise<void> => {
        while (next < n) {
          const start = next
          next = Math.min(n, start + BATCH)
          const Entries = Array.from({ length: next - start }, (_, place) => ({
            Id: String(place),
            MessageBody: bodyOf(start + place),
          }))
          const { Failed = [] } = await client.send(new SendMessageBatchCommand({ QueueUrl, Entries }))
          if (Failed.length > 0) throw new Error(`Expected all of a batch to be sent, ${Failed.length} failed`)
        }
      }
      await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
    }
    return {
      run: n => countReceived(sink, n, () => insert(n)),
      close() {
        client.destroy()
        sink.close()
      },
    }
  },
  { warmUp: 10_000 },
)
