/** A Redis server of the tests, on a free port, with its data in a temporary directory. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const program = ['redis-server', 'valkey-server'].find(name => spawnSync(name, ['--version']).status === 0)

/** The reason why no server can be started here, for `skip`; `false` if one can. */
export const noServer: string | false =
  program === undefined ? 'no redis-server on the PATH (Debian: apt-get install redis-server)' : false

export interface RedisServer {
  readonly port: number
  /** The URL of a queue. */
  url(queue: string): string
  /** The process, e.g. for signals. */
  readonly process: ChildProcess
  /** Ends the process as a crash does, and waits for its end. */
  kill(): Promise<void>
  /** Starts it again with its data, on the same port. */
  restart(): Promise<void>
  /** Ends the process and removes its data. */
  stop(): Promise<void>
}

/**
 * Starts a server.
 *
 * @param settings of the configuration, e.g. `['--appendonly', 'yes']`
 */
export async function startServer(settings: readonly string[] = []): Promise<RedisServer> {
  const dir = mkdtempSync(join(tmpdir(), 'ptq-redis-'))
  const port = await freePort()
  let running = await start(port, dir, settings)
  const kill = async () => {
    if (running.exitCode !== null || running.signalCode !== null) return
    const ended = once(running, 'exit')
    running.kill('SIGKILL')
    await ended
  }
  return {
    port,
    url: queue => `redis://127.0.0.1:${port}/0?queue=${queue}`,
    get process() {
      return running
    },
    kill,
    async restart() {
      await kill()
      running = await start(port, dir, settings)
    },
    async stop() {
      await kill()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

async function start(port: number, dir: string, settings: readonly string[]): Promise<ChildProcess> {
  if (program === undefined) throw new Error(String(noServer))
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', ...settings]
  const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  // A test that fails must not leave it behind.
  const end = () => server.kill('SIGKILL')
  process.once('exit', end)
  server.once('exit', () => process.off('exit', end))
  const lines: string[] = []
  for await (const line of createInterface(server.stdout)) {
    lines.push(line)
    if (line.includes('Ready to accept connections')) {
      server.stdout.resume()
      return server
    }
  }
  throw new Error(`Expected ${program} to start, got:\n${lines.join('\n')}`)
}

/** A port without a listener. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
