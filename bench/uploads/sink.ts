// A server that knows one thing, to confirm batches of messages; and remembers the number of each task.
// Run as a process of its own: says its port at its start, and to each message what came since the last one.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

// Searched for in the text of a request: reading it as JSON would take the time that the client is to have.
const ENTRY_ID = /"Id":"([^"]+)"/g
/** The argument of a task. */
const NUMBER = /, ?\[(\d+)\], ?\{/g

let numbers: number[] = []
let firstAtMs = Number.NaN

const server = createServer(async (request, response) => {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part)
  const isBatch = request.headers['x-amz-target'] === 'AmazonSQS.SendMessageBatch'
  const body = isBatch ? confirm(Buffer.concat(parts).toString('latin1')) : queueUrl()
  response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0', 'content-length': Buffer.byteLength(body) })
  response.end(body)
})

function confirm(batch: string): string {
  if (numbers.length === 0) firstAtMs = performance.timeOrigin + performance.now()
  for (const [, number] of batch.matchAll(NUMBER)) numbers.push(Number(number))
  const MessageId = '00000000-0000-4000-8000-000000000000'
  return JSON.stringify({ Successful: [...batch.matchAll(ENTRY_ID)].map(([, Id]) => ({ Id, MessageId })) })
}

function queueUrl(): string {
  const { port } = server.address() as AddressInfo
  return JSON.stringify({ QueueUrl: `http://127.0.0.1:${port}/000000000000/bench` })
}

server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.on('message', () => {
  process.send?.({ numbers, firstAtMs })
  numbers = []
})
// Whoever started it is gone.
process.on('disconnect', () => process.exit())
