/** An SQS server behind a proxy that injects faults, for the tests of a `describe`. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, afterEach, before } from 'node:test'
import { CreateQueueCommand, type CreateQueueCommandInput, SQSClient } from '@aws-sdk/client-sqs'
import { TaskQueue } from 'ptq'
import type { SqsOptions } from '#ptq/backends/sqs/index.js'
import { FaultProxy, type ProxyOptions } from './fault-proxy.js'
import { ACCESS, newTaskQueue } from './queue.js'
import { type SqsServer, startServer } from './server.js'

/** Starts both before the tests of the enclosing `describe`; after each test closes its queues and removes its faults. */
export function useProxiedServer(options: ProxyOptions = {}) {
  let started: { readonly server: SqsServer; readonly proxy: FaultProxy } | undefined
  const open: TaskQueue[] = []
  const running = () => {
    assert.ok(started !== undefined, 'the server runs only during the tests')
    return started
  }

  before(async () => {
    const server = await startServer('fauxqs')
    started = { server, proxy: await FaultProxy.start(server.endpoint, options) }
  })
  afterEach(async () => {
    running().proxy.rules.length = 0
    for (const tq of open.splice(0)) await tq.close()
  })
  after(async () => {
    await started?.proxy.close()
    await started?.server.close()
  })

  function closeLater(tq: TaskQueue): TaskQueue {
    open.push(tq)
    return tq
  }

  return {
    get proxy(): FaultProxy {
      return running().proxy
    },
    /** The server itself, without the proxy. */
    get serverEndpoint(): string {
      return running().server.endpoint
    },
    /** A new queue behind the proxy. */
    newQueue: (queueOptions: SqsOptions = {}) => closeLater(newTaskQueue(running().proxy.endpoint, queueOptions)),
    /** The same, created with attributes of SQS. */
    async newQueueWith(Attributes: CreateQueueCommandInput['Attributes']): Promise<TaskQueue> {
      const QueueName = `test-${randomUUID()}`
      const client = new SQSClient({ ...ACCESS, endpoint: running().server.endpoint })
      await client.send(new CreateQueueCommand({ QueueName, Attributes }))
      client.destroy()
      const { endpoint } = running().proxy
      return closeLater(new TaskQueue(`sqs://${QueueName}`, { ...ACCESS, endpoint, emptyWindowSeconds: 0 }))
    },
  }
}

/** The attribute that has SQS move a message to `letters` after so many receives. */
export function redriveTo(letters: TaskQueue, maxReceiveCount: number): { readonly RedrivePolicy: string } {
  const deadLetterTargetArn = `arn:aws:sqs:us-east-1:000000000000:${letters.url.slice('sqs://'.length)}`
  return { RedrivePolicy: JSON.stringify({ deadLetterTargetArn, maxReceiveCount }) }
}
