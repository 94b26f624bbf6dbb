import { mkdtemp, rm } from 'node:fs/promises'
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
