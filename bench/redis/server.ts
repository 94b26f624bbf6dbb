/** A Redis server for one case, in memory only. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'

export interface BenchServer {
  readonly port: number
  /** The URL of the queue of the bench. */
  readonly url: string
  stop(): void
}

/** @param dir an empty folder */
export async function startServer(dir: string): Promise<BenchServer> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '']
  const server: ChildProcess = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  process.once('exit', () => server.kill('SIGKILL'))
  if (server.stdout === null) throw new Error('Expected to read what redis-server prints')
  for await (const line of createInterface(server.stdout)) {
    if (!line.includes('Ready to accept connections')) continue
    server.stdout.resume()
    return { port, url: `redis://127.0.0.1:${port}/0?queue=bench`, stop: () => server.kill('SIGKILL') }
  }
  throw new Error('Expected redis-server to start')
}
