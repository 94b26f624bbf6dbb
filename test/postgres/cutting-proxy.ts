/** A proxy in front of a PostgreSQL server that cuts a connection at a statement: before the server gets it, or before its answer. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** `before`: the server never sees the statement. `after`: it has carried it out, and the answer is lost. */
export type Cut = 'before' | 'after'

export interface CuttingProxy {
  readonly port: number
  /** Cuts the connection at the next statement that has this text; resolves when that has happened. */
  cutAt(text: string, cut: Cut): { readonly done: Promise<void> }
  /** Refuses connections, and ends all there are, until {@link open}. */
  shut(): void
  open(): void
  close(): Promise<void>
}

export async function startCuttingProxy(port: number): Promise<CuttingProxy> {
  const sockets = new Set<Socket>()
  let order: { text: string; cut: Cut; done: () => void } | undefined
  let isShut = false
  const server = createServer(client => {
    if (isShut) {
      client.destroy()
      return
    }
    const upstream = connect(port, '127.0.0.1')
    let isDue = false
    const end = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', end)
      socket.on('close', () => {
        sockets.delete(socket)
        end()
      })
    }
    client.on('data', (chunk: Buffer) => {
      if (order !== undefined && chunk.includes(order.text)) {
        if (order.cut === 'before') {
          order.done()
          order = undefined
          return end()
        }
        isDue = true
      }
      upstream.write(chunk)
    })
    upstream.on('data', (chunk: Buffer) => {
      if (!isDue) client.write(chunk)
      // `Z`, four bytes of length and the state end an answer: then it was committed.
      else if (chunk.at(-6) === 'Z'.charCodeAt(0)) {
        order?.done()
        order = undefined
        end()
      }
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const endAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    cutAt(text, cut) {
      const done = new Promise<void>(resolve => {
        order = { text, cut, done: resolve }
      })
      return { done }
    },
    shut() {
      isShut = true
      endAll()
    },
    open() {
      isShut = false
    },
    async close() {
      const closed = new Promise(resolve => server.close(resolve))
      endAll()
      await closed
    },
  }
}
