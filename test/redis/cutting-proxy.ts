/** A TCP proxy that can lose the reply of a command: the server has run it, and the client sees its connection break. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface CuttingProxy {
  readonly port: number
  /**
   * Breaks the connection that the next reply comes on, instead of passing it, and holds new connections back until `resume`.
   * Resolves when it is broken.
   */
  cutNextReply(): Promise<void>
  /** Lets connections through again. */
  resume(): void
  close(): Promise<void>
}

export async function startCuttingProxy(serverPort: number): Promise<CuttingProxy> {
  let onCut: (() => void) | undefined
  let held: (() => void)[] | undefined
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    sockets.add(client)
    client.on('error', () => undefined).once('close', () => sockets.delete(client))
    const pass = () => {
      const upstream = connect(serverPort, '127.0.0.1')
      sockets.add(upstream)
      upstream.on('error', () => undefined)
      upstream.once('close', () => {
        sockets.delete(upstream)
        client.destroy()
      })
      client.once('close', () => upstream.destroy())
      client.pipe(upstream)
      upstream.on('data', data => {
        if (onCut === undefined) {
          client.write(data)
          return
        }
        const cut = onCut
        onCut = undefined
        held = []
        client.destroy()
        upstream.destroy()
        cut()
      })
    }
    if (held === undefined) pass()
    else held.push(pass)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    cutNextReply: () =>
      new Promise(resolve => {
        onCut = resolve
      }),
    resume() {
      const waiting = held ?? []
      held = undefined
      for (const pass of waiting) pass()
    },
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      if (server.listening) await once(server, 'close')
    },
  }
}
