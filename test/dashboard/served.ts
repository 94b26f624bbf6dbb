/** A page on a server of the test's own, and queues for it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TaskQueue } from 'ptq'
import { type Dashboard, type DashboardOptions, dashboard } from 'ptq/dashboard'
import { mainPath } from '../cli/run-cli.js'

export const tasksFile = join(import.meta.dirname, 'tasks.js')

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

export interface AskOptions {
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string
}

/** A page that is served. */
export class Served implements AsyncDisposable {
  readonly page: Dashboard
  readonly port: number
  readonly #server: Server

  private constructor(page: Dashboard, server: Server) {
    this.page = page
    this.#server = server
    this.port = (server.address() as AddressInfo).port
  }

  static async start(queues: Parameters<typeof dashboard>[0], options: DashboardOptions = {}): Promise<Served> {
    const page = dashboard(queues, { intervalSeconds: 0.1, ...options })
    const server = createServer(page)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Served(page, server)
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`
  }

  /** Sends a request as it is given, with headers that a browser would not let a page set. */
  ask(path: string, { method = 'GET', headers = {}, body }: AskOptions = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: this.port, path, method, headers }, response => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
      })
      sent.once('error', reject).end(body)
    })
  }

  /** Signs in; resolves with the cookie. */
  async signIn(): Promise<string> {
    const { headers } = await this.ask(`/${this.page.newLink()}`)
    return (headers['set-cookie']?.[0] ?? '').split(';', 1)[0] ?? ''
  }

  /** Reads JSON as a browser that is signed in. */
  async read<T>(path: string, cookie: string): Promise<T> {
    const { status, text } = await this.ask(path, { headers: { Cookie: cookie } })
    if (status !== 200) throw new Error(`Expected ${path} to be answered, got ${status}: ${text}`)
    return JSON.parse(text)
  }

  /** Asks for an action as the page itself does. */
  act(path: string, cookie: string, body: object): Promise<Answer> {
    const headers = {
      Cookie: cookie,
      Origin: `http://127.0.0.1:${this.port}`,
      'Sec-Fetch-Site': 'same-origin',
      'Content-Type': 'application/json',
    }
    return this.ask(path, { method: 'POST', headers, body: JSON.stringify(body) })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.close()
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }
}

/** A worker process on the tasks of the tests. */
export function startWorker(queue: TaskQueue, ...args: string[]): ChildProcess {
  return spawn(process.execPath, [mainPath, 'poll', queue.url, '--load', tasksFile, ...args], { stdio: 'ignore' })
}

/** Ends a worker process. */
export async function stopWorker(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return
  const ended = once(worker, 'close')
  worker.kill('SIGKILL')
  await ended
}

/** A folder of its own for a test, removed when it passes. */
export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ptq-dashboard-'))
  await work(folder)
  await rm(folder, { recursive: true })
}
