/** Answers to requests, with the headers that keep a browser from being used against the page. */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Scripts, styles and requests of this origin only; nothing inline, no frame around it, no text taken for HTML. */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

const securityHeaders = {
  'Content-Security-Policy': contentSecurityPolicy,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  // What a queue holds is not kept on disks of browsers or proxies.
  'Cache-Control': 'no-store',
}

/** Longest body of a request. Bytes. */
const maxBodyBytes = 1 << 20

/** Sets the headers of every answer. */
export function secure(response: ServerResponse): void {
  for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value)
}

export function sendText(response: ServerResponse, status: number, text: string): void {
  send(response, status, 'text/plain; charset=utf-8', `${text}\n`)
}

/** Sends JSON; a number that is not known (NaN) is `null`. */
export function sendJson(response: ServerResponse, value: unknown): void {
  send(response, 200, 'application/json; charset=utf-8', JSON.stringify(value))
}

export function send(response: ServerResponse, status: number, type: string, body: string | Buffer): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

/** An error that is answered with its message. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  readonly status: number

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.status = status
  }
}

/** The body of a request, an object in JSON. @throws RequestError where it is none, or too long */
export async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length
    // The rest of a longer one is read and dropped, up to a limit: so the answer arrives.
    if (bytes <= maxBodyBytes) parts.push(part)
    else if (bytes > 16 * maxBodyBytes) break
  }
  if (bytes > maxBodyBytes) throw new RequestError(413, `Expected at most ${maxBodyBytes} bytes`)
  let value: unknown
  try {
    value = JSON.parse(Buffer.concat(parts).toString('utf8'))
  } catch (cause) {
    throw new RequestError(400, 'Expected JSON', { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new RequestError(400, 'Expected an object')
}
