/** A proxy between a client and an SQS server that does what networks and servers do on a bad day. */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { closeServer, listen } from './server.js'

/** The fault of a request. */
export type Fault =
  /** Answered with this status before the server sees it. */
  | { readonly kind: 'status'; readonly status: number; readonly code: string; readonly message?: string }
  /** Answered with a page, as a server that isn't SQS would. */
  | { readonly kind: 'page' }
  /** The connection is reset before the server sees the request. */
  | { readonly kind: 'reset' }
  /** The server does it, and the connection is reset instead of an answer, or in the middle of it. */
  | { readonly kind: 'lost-reply' | 'cut-reply'; readonly onLost?: OnLost }
  /** `begun` is called, then half of the response is sent, and the rest when `resume` resolves. */
  | { readonly kind: 'halting-reply'; readonly begun: () => void; readonly resume: Promise<void> }
  /** Never answered. */
  | { readonly kind: 'hang' }
  /** The entries at these places never reach the server and come back in `Failed`. */
  | {
      readonly kind: 'partial'
      readonly places: readonly number[]
      readonly code: string
      readonly senderFault: boolean
    }

/** Runs after the server has processed a request, and before its sender learns that the response is lost. */
export type OnLost = (request: SeenRequest['body'], reply: string) => Promise<void>

/** A fault for the next `times` requests of an action. */
export type Rule = Fault & { readonly action: string; times: number }

/** Options of a proxy. */
export interface ProxyOptions {
  /** Called for each request without a rule. */
  readonly choose?: (request: SeenRequest) => Fault | undefined
  /** Called with each response of status 200, whether or not the client gets it. */
  readonly replied?: (request: SeenRequest, body: string) => void
}

/** A request as received. */
export interface SeenRequest {
  readonly action: string
  readonly body: {
    readonly Entries?: readonly { readonly Id: string; readonly ReceiptHandle?: string }[]
    readonly [key: string]: unknown
  }
  readonly headers: IncomingHttpHeaders
}

interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** Forwards to one server; requests that match a rule with `times` left suffer its fault. */
export class FaultProxy {
  readonly #server = createServer((req, res) => {
    this.#handle(req, res).catch(error => res.destroy(error))
  })
  readonly #target: string
  readonly #options: ProxyOptions
  #waiting: { action: string; seen: () => void }[] = []
  readonly rules: Rule[] = []
  readonly requests: SeenRequest[] = []
  endpoint = ''

  private constructor(target: string, options: ProxyOptions) {
    this.#target = target
    this.#options = options
  }

  static async start(target: string, options: ProxyOptions = {}): Promise<FaultProxy> {
    const proxy = new FaultProxy(target, options)
    proxy.endpoint = (await listen(proxy.#server)).endpoint
    return proxy
  }

  /** The number of requests of this action. */
  count(action: string): number {
    return this.requests.filter(seen => seen.action === action).length
  }

  /** Resolves when the next request of this action has come in whole. */
  next(action: string): Promise<void> {
    return new Promise(seen => this.#waiting.push({ action, seen }))
  }

  close(): Promise<void> {
    return closeServer(this.#server)
  }

  async #handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const text = (await readAll(req)).toString()
    const action = String(req.headers['x-amz-target']).replace('AmazonSQS.', '')
    const body: SeenRequest['body'] = JSON.parse(text)
    const seen: SeenRequest = { action, body, headers: req.headers }
    this.requests.push(seen)
    const rule = this.rules.find(candidate => candidate.action === action && candidate.times > 0)
    if (rule) rule.times--
    const waiting = this.#waiting.filter(entry => entry.action === action)
    this.#waiting = this.#waiting.filter(entry => entry.action !== action)
    for (const entry of waiting) entry.seen()
    const fault: Fault | undefined = rule ?? this.#options.choose?.(seen)
    const forward = async (onward = text): Promise<Reply> => {
      const reply = await this.#forward(req, res, onward)
      if (reply.status === 200) this.#options.replied?.({ ...seen, body: JSON.parse(onward) }, reply.body.toString())
      return reply
    }
    switch (fault?.kind) {
      case undefined:
        return answer(res, await forward())
      case 'status': {
        const reply = JSON.stringify({
          __type: `com.amazonaws.sqs#${fault.code}`,
          message: fault.message ?? fault.kind,
        })
        return answer(res, { status: fault.status, headers: JSON_TYPE, body: Buffer.from(reply) })
      }
      case 'page':
        return answer(res, {
          status: 200,
          headers: { 'content-type': 'text/html' },
          body: Buffer.from('<h1>It works</h1>'),
        })
      case 'reset':
        req.socket.resetAndDestroy()
        return
      case 'lost-reply': {
        const reply = await forward()
        await fault.onLost?.(body, reply.body.toString())
        req.socket.resetAndDestroy()
        return
      }
      case 'cut-reply': {
        const reply = await forward()
        await fault.onLost?.(body, reply.body.toString())
        res.writeHead(reply.status, { ...JSON_TYPE, 'content-length': reply.body.length })
        res.write(reply.body.subarray(0, reply.body.length >> 1), () => req.socket.resetAndDestroy())
        return
      }
      case 'halting-reply': {
        const reply = await forward()
        fault.begun()
        res.writeHead(reply.status, { ...JSON_TYPE, 'content-length': reply.body.length })
        res.write(reply.body.subarray(0, reply.body.length >> 1))
        await fault.resume
        res.end(reply.body.subarray(reply.body.length >> 1))
        return
      }
      case 'hang':
        return
      case 'partial': {
        const entries = body.Entries ?? []
        const kept = entries.filter((_, place) => !fault.places.includes(place))
        const dropped = entries.filter((_, place) => fault.places.includes(place))
        const reply =
          kept.length === 0
            ? { Successful: [] }
            : JSON.parse((await forward(JSON.stringify({ ...body, Entries: kept }))).body.toString())
        const Failed = dropped.map(({ Id }) => ({
          Id,
          SenderFault: fault.senderFault,
          Code: fault.code,
          Message: fault.kind,
        }))
        return answer(res, { status: 200, headers: JSON_TYPE, body: Buffer.from(JSON.stringify({ ...reply, Failed })) })
      }
    }
  }

  #forward(req: IncomingMessage, res: ServerResponse, text: string): Promise<Reply> {
    const headers = { ...req.headers, 'content-length': Buffer.byteLength(text) }
    return new Promise((resolve, reject) => {
      const onward = request(this.#target + req.url, { method: req.method ?? 'POST', headers }, reply => {
        readAll(reply).then(body => resolve({ status: reply.statusCode ?? 502, headers: reply.headers, body }), reject)
      })
      // A client that hung up no longer waits: neither does the server.
      res.once('close', () => onward.destroy())
      onward.on('error', reject)
      onward.end(text)
    })
  }
}

const JSON_TYPE = { 'content-type': 'application/x-amz-json-1.0' }

function answer(res: ServerResponse, { status, headers, body }: Reply): void {
  const { connection: _connection, 'transfer-encoding': _encoding, ...kept } = headers
  res.writeHead(status, { ...kept, 'content-length': body.length }).end(body)
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts)
}
