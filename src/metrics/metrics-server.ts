/** A server that answers only `/metrics`. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { hostOf, isLoopback, loopbackHosts, urlHost } from '../http/hosts.js'
import { closeServer, listen } from '../http/listen.js'
import { type Metric, metricsContentType, metricsText } from './exposition.js'

/** A running server of metrics. */
export interface MetricsServer {
  readonly url: string
  close(): Promise<void>
}

/**
 * Serves metrics. The server doesn't keep the process alive. On a loopback address requests for other hosts are refused: they come
 * from web pages.
 */
export async function serveMetrics(
  metrics: () => readonly Metric[],
  { host, port }: { host: string; port: number },
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (isLoopback(host) && !loopbackHosts.includes(hostOf(request) ?? '')) {
      response.writeHead(403, { 'Content-Type': 'text/plain' }).end('This host is not served here\n')
    } else answer(metrics, request, response)
  })
  server.unref()
  const boundPort = await listen(server, { host, port })
  return { url: `http://${urlHost(host)}:${boundPort}/metrics`, close: () => closeServer(server) }
}

function answer(metrics: () => readonly Metric[], { method, url }: IncomingMessage, response: ServerResponse): void {
  if (url?.split('?', 1)[0] !== '/metrics') {
    response.writeHead(404, { 'Content-Type': 'text/plain' }).end('Only /metrics is served here\n')
  } else if (method !== 'GET' && method !== 'HEAD') {
    response.writeHead(405, { Allow: 'GET, HEAD' }).end()
  } else {
    const headers = { 'Content-Type': metricsContentType, 'X-Content-Type-Options': 'nosniff' }
    response.writeHead(200, headers).end(method === 'HEAD' ? undefined : metricsText(metrics()))
  }
}
