/** Starts and ends HTTP servers. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Listens; resolves with the port, which the system chooses for 0. Rejects where the address can't be used. */
export async function listen(server: Server, { host, port }: { host: string; port: number }): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  // For a server that listens on an address, not on a pipe.
  return (server.address() as AddressInfo).port
}

/** Ends a server and its connections. */
export async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()))
  server.closeAllConnections()
  await closed
}
