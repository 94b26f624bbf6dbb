// The rival of a worker: plain loops over the SDK with its defaults. Each receives ten, runs them, and deletes them as a
// batch.
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { partial, TaskQueue } from 'ptq'
import { runCase } from '../case.js'
import { noop } from '../local/tasks.js'
import { ACCESS, startLineProcess } from './line-process.js'

const LOOPS = 8

await runCase(
  async () => {
    const server = await startLineProcess('server.js')
    const client = new SQSClient({ ...ACCESS, endpoint: server.endpoint, useQueueUrlAsEndpoint: false })
    const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName: 'bench' }))
    const tq = new TaskQueue('sqs://bench', { ...ACCESS, endpoint: server.endpoint, progress: false })

    async function loop(): Promise<void> {
      for (;;) {
        const request = { QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 600 }
        const { Messages = [] } = await client.send(new ReceiveMessageCommand(request))
        if (Messages.length === 0) return
        for (const { Body = '' } of Messages) {
          const { payload } = JSON.parse(Body)
          noop(payload[1][0])
        }
        const Entries = Messages.map(({ ReceiptHandle }, place) => ({ Id: String(place), ReceiptHandle }))
        await client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }))
      }
    }

    return {
      async fill(n) {
        await tq.insert(Array.from({ length: n }, (_, index) => partial(noop, index)))
        await server.ask()
      },
      async run() {
        await Promise.all(Array.from({ length: LOOPS }, loop))
        const requests = Number(await server.ask())
        const AttributeNames = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const
        const reply = await client.send(
          new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...AttributeNames] }),
        )
        const left = AttributeNames.map(name => Number(reply.Attributes?.[name]))
        if (left.some(count => count !== 0)) throw new Error(`Expected an empty queue, got ${left.join(' and ')} left`)
        return { requests }
      },
      async close() {
        await tq.close()
        client.destroy()
        server.close()
      },
    }
  },
  { warmUp: 1_000 },
)
