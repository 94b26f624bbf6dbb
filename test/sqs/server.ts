/** SQS-compatible servers in this process, on a random port of the loopback interface. */
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buildApp } from 'fauxqs'
import { createRequestHandler } from 'local-aws-sqs'

/** Both servers that the tests run on: neither is faithful alone. */
export const SERVER_KINDS = ['fauxqs', 'local-aws-sqs'] as const

export type ServerKind = (typeof SERVER_KINDS)[number]

export interface SqsServer {
  readonly kind: ServerKind
  /** E.g. `http://127.0.0.1:40123`. */
  readonly endpoint: string
  close(): Promise<void>
}

/** Starts a server. It listens when this resolves. */
export function startServer(kind: ServerKind): Promise<SqsServer> {
  return kind === 'fauxqs' ? startFauxqs() : startLocalAwsSqs()
}

async function startFauxqs(): Promise<SqsServer> {
  const app = buildApp({ logger: false })
  const endpoint = await app.listen({ port: 0, host: '127.0.0.1' })
  return { kind: 'fauxqs', endpoint, close: () => app.close() }
}

async function startLocalAwsSqs(): Promise<SqsServer> {
  const server = createServer()
  const { port, endpoint } = await listen(server)
  const { service, requestHandler } = createRequestHandler({
    port,
    hostname: '127.0.0.1',
    emulateQueueCreationLifecycle: false,
  })
  const receives = new Map<string, number>()
  server.on('request', (req, res) => {
    if (req.headers['x-amz-target'] === 'AmazonSQS.ReceiveMessage') countReceives(res, receives)
    return requestHandler(req, res)
  })
  return {
    kind: 'local-aws-sqs',
    endpoint,
    async close() {
      await closeServer(server)
      // Its timers would keep the process.
      service.resetAll()
    },
  }
}

/** local-aws-sqs counts each change of visibility as a receive; SQS counts receives. Corrected in what it answers. */
function countReceives(res: ServerResponse, receives: Map<string, number>): void {
  const end = res.end.bind(res)
  res.end = (text?: unknown) => {
    const reply = typeof text === 'string' && res.statusCode === 200 ? JSON.parse(text) : undefined
    for (const message of reply?.Messages ?? []) {
      const count = (receives.get(message.MessageId) ?? 0) + 1
      receives.set(message.MessageId, count)
      message.Attributes.ApproximateReceiveCount = String(count)
    }
    return end(reply === undefined ? text : JSON.stringify(reply))
  }
}

/** Listens on a free port of the loopback interface. */
export async function listen(server: Server): Promise<{ port: number; endpoint: string }> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { port, endpoint: `http://127.0.0.1:${port}` }
}

/** Closes a server with its connections, long polls included. */
export async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>(resolve => server.once('close', resolve))
  server.close()
  server.closeAllConnections()
  await closed
}
