/** Queues of a torture: file queues, a queue on a bad SQS server, or queues in PostgreSQL. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { startServer } from '../../bench/postgres/server.js'
import { startServer as startRedis } from '../redis/server.js'
import { ACCESS } from '../sqs/queue.js'
import type { BadServerOptions } from './bad-server.js'
import type { Torture } from './chaos.js'
import { note } from './ledger.js'
import { fileQueuesIn, serverQueues, sqsQueues } from './process-options.js'

/** The parts of a torture that depend on the backend. */
export interface Fixture
  extends Pick<Torture, 'queues' | 'views' | 'options' | 'env' | 'calm' | 'processCounts' | 'vanishing'> {
  close(): Promise<void>
}

/**
 * @param paths one folder, as it is reached through each mount
 * @param elsewhere a folder on another filesystem, if there is one
 * @param options.python Python processes insert and work, too
 * @param options.pack some of the tasks are in packs of so many; nothing is copied then, since a copy may miss those that change packs
 */
export function fileFixture(
  [first, ...others]: readonly [string, ...string[]],
  elsewhere: string,
  { python = false, pack }: { python?: boolean; pack?: number } = {},
): Fixture {
  const queuesIn = (folder: string) => ({ ...fileQueuesIn(folder, elsewhere), ...(pack !== undefined && { pack }) })
  return {
    queues: queuesIn(first),
    processCounts: {
      inserter: 1,
      uploader: 1,
      mover: 1,
      retrier: 1,
      ...(pack === undefined && { copier: 1 }),
      'purged-uploader': 1,
      purger: 1,
      ...(python && { 'python-inserter': 1, 'python-worker': 1 }),
    },
    vanishing: join(elsewhere, 'depot', 'queue'),
    ...(others.length > 0 && { views: others.map(queuesIn) }),
    options: { progress: false },
    close: () => Promise.resolve(),
  }
}

/** @param folder the folder of the file queues from which tasks are moved, and of the dead letters */
export async function sqsFixture(
  folder: string,
  ledger: string,
  seed: number,
  { fifo = false } = {},
): Promise<Fixture> {
  const serverOptions: BadServerOptions = { ledger, seed }
  const script = join(import.meta.dirname, 'bad-server.js')
  const server = fork(script, [JSON.stringify(serverOptions)], { detached: true, stdio: 'inherit' })
  const endpoint = await endpointOf(server)
  const { region, credentials } = ACCESS
  return {
    queues: sqsQueues(folder, endpoint, fifo),
    processCounts: { inserter: 1, uploader: 1, mover: 1, retrier: 1 },
    options: { ...ACCESS, endpoint, createIfMissing: true, emptyWindowSeconds: 0, progress: false },
    env: {
      // For the `ptq` commands.
      AWS_REGION: region,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      // The folder for the journals of uploads to SQS.
      XDG_STATE_HOME: join(folder, 'state'),
    },
    calm: () => {
      server.send('calm')
    },
    close: async () => {
      const ended = once(server, 'exit')
      server.disconnect()
      await ended
    },
  }
}

/** @param folder the folder of the file queues into which the main queue is copied */
export async function postgresFixture(folder: string, elsewhere: string): Promise<Fixture> {
  // Synchronous, as on a server of people who mean it.
  const server = await startServer({ settings: { fsync: 'on', max_connections: 200 } })
  return {
    queues: serverQueues(folder, elsewhere, name => server.url(name)),
    processCounts: { inserter: 1, uploader: 1, mover: 1, retrier: 1, copier: 1, 'purged-uploader': 1, purger: 1 },
    options: { progress: false },
    close: () => server.close(),
  }
}

/** Time between two kills of a server. Milliseconds. */
const SERVER_LIFE_MS = 7_000

/**
 * A Redis server that writes each change to its disk before it answers, and is killed again and again.
 *
 * @param folder the folder of the file queues into which the main queue is copied
 */
export async function redisFixture(folder: string, elsewhere: string, ledger: string): Promise<Fixture> {
  const server = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always'])
  let restarting = Promise.resolve()
  const timer = setInterval(() => {
    restarting = restarting.then(async () => {
      note(ledger, 'serverEnded', ['redis'], 0)
      await server.restart()
      note(ledger, 'serverBack', ['redis'], 0)
    })
  }, SERVER_LIFE_MS)
  return {
    queues: serverQueues(folder, elsewhere, server.url),
    processCounts: { inserter: 1, uploader: 1, mover: 1, retrier: 1 },
    options: { progress: false },
    calm: () => clearInterval(timer),
    close: async () => {
      clearInterval(timer)
      await restarting
      await server.stop()
    },
  }
}

function endpointOf(server: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('message', message => resolve(String(message)))
    server.once('exit', code => reject(new Error(`Expected an SQS server, it ended with ${code}`)))
  })
}
