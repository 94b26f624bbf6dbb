/** Checks the `Host` of requests, so that a web page whose name an attacker points at this machine can't read from it. */
import type { IncomingMessage } from 'node:http'

/** The names of this machine's loopback interface, as in `Host` and URLs. */
export const loopbackHosts: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

/** The name in a request's `Host`, without the port, in lower case, or `undefined`. */
export function hostOf({ headers }: Pick<IncomingMessage, 'headers'>): string | undefined {
  return /^(\[[\da-f:.]+\]|[^:[\]]+)(?::\d+)?$/.exec(headers.host?.toLowerCase() ?? '')?.[1]
}

/** True for an address that only programs of this machine can reach. */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^127\.\d+\.\d+\.\d+$/.test(address)
}

/** An address as written in a URL. */
export function urlHost(address: string): string {
  return address.includes(':') ? `[${address}]` : address
}
