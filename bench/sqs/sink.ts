// A server that only confirms batches of messages. Run as a process of its own: prints its endpoint in the first line
// on stdout, and for each line on stdin what arrived since the last one. With `--md5` it confirms like SQS; without, it
// omits the checksums, which works only for clients that don't check them, and takes half the time.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { formAnswer, jsonAnswer, sentBodies } from './sink-protocols.js'

/** The argument of a task; a pack has several. */
const NUMBER = /, ?\[(\d+)\], ?\{/g

const withChecksums = process.argv.includes('--md5')

/** Received batches, parsed at the next report: until then the CPU time is the client's. */
let batches: { readonly text: Buffer; readonly isJson: boolean }[] = []
let firstAtMs = Number.NaN

const server = createServer((request, response) => {
  const parts: Buffer[] = []
  request.on('data', part => parts.push(part))
  request.on('end', () => {
    const text = Buffer.concat(parts)
    // The old protocol, boto3's until 1.29, has its action in the body.
    const isJson = request.headers['x-amz-target'] !== undefined
    const isBatch = isJson
      ? request.headers['x-amz-target'] === 'AmazonSQS.SendMessageBatch'
      : text.includes('Action=SendMessageBatch')
    const answer = isJson ? jsonAnswer : formAnswer
    const body = isBatch ? answer.confirm(confirm(text, isJson)) : answer.queueUrl(`${endpoint()}/000000000000/bench`)
    response.writeHead(200, { 'content-type': answer.contentType, 'content-length': Buffer.byteLength(body) })
    response.end(body)
  })
})

/** @returns the checksum of each message, in the order of the batch; empty texts without `--md5` */
function confirm(text: Buffer, isJson: boolean): string[] {
  if (batches.length === 0) firstAtMs = performance.timeOrigin + performance.now()
  batches.push({ text, isJson })
  if (withChecksums) return sentBodies(text, isJson).map(body => createHash('md5').update(body).digest('hex'))
  const checksums: string[] = []
  for (let at = text.indexOf(ENTRY); at >= 0; at = text.indexOf(ENTRY, at + ENTRY.length)) checksums.push('')
  return checksums
}

/** Begins each entry in the JSON of a batch. */
const ENTRY = '"Id":"'

function endpoint(): string {
  const { port } = server.address() as AddressInfo
  return `http://127.0.0.1:${port}`
}

function tell(): void {
  const bodies = batches.flatMap(({ text, isJson }) => sentBodies(text, isJson))
  const numbers = bodies.flatMap(body => [...body.matchAll(NUMBER)].map(match => Number(match[1])))
  console.log(JSON.stringify({ numbers, firstAtMs, requests: batches.length }))
  batches = []
}

server.listen(0, '127.0.0.1', () => console.log(endpoint()))
createInterface({ input: process.stdin })
  .on('line', tell)
  // Its parent has ended.
  .on('close', () => process.exit())
