/** The queues that uploads fill, and what they got. */
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { TaskQueue } from 'ptq'
import { QueueFolders, queued } from '../fq/folder.js'
import { ACCESS } from '../sqs/line-process.js'
import { startSink } from '../sqs/sink-process.js'
import type { Destination } from './ways.js'

/** Tasks that arrived. */
export interface Arrival {
  readonly tasks: number
  /** Arrival of the first one, in milliseconds since 1970. */
  readonly firstAtMs: number
  /** The numbers of the tasks, sorted; only where there are few. */
  readonly numbers: readonly number[] | undefined
}

export interface Destinations {
  /** An empty queue. */
  next(): Promise<Destination>
  /** Tasks that arrived in the last queue. */
  arrived(): Promise<Arrival>
  close(): void
}

/** Up to this number of tasks each is checked; beyond, only their number. */
const FEW = 5_000

/** @param dir an empty folder */
export async function openDestinations(kind: string, dir: string): Promise<Destinations> {
  return kind === 'fq' ? folders(dir) : sink()
}

function folders(dir: string): Destinations {
  const queues = new QueueFolders(dir)
  let first: Promise<unknown[]> | undefined
  return {
    async next() {
      const root = queues.next()
      mkdirSync(join(root, 'queue'), { recursive: true })
      const watcher = new Worker(join(import.meta.dirname, 'first-file.js'), { workerData: join(root, 'queue') })
      await once(watcher, 'message')
      first = once(watcher, 'message')
      return { url: `fq://${root}`, options: { progress: false } }
    },
    async arrived() {
      const tasks = queued(queues.root)
      const [firstAtMs] = (await first) ?? []
      return { tasks, firstAtMs: Number(firstAtMs), numbers: tasks > FEW ? undefined : await numbersIn(queues.root) }
    },
    close: () => undefined,
  }
}

async function numbersIn(root: string): Promise<number[]> {
  await using tq = new TaskQueue(`fq://${root}`)
  const numbers: number[] = []
  for await (const task of tq.tasks()) {
    const payload = task.payload()
    if (Array.isArray(payload)) numbers.push(Number(payload[1][0]))
  }
  return numbers.sort((a, b) => a - b)
}

async function sink(): Promise<Destinations> {
  const server = await startSink()
  const destination = { url: 'sqs://bench', options: { ...ACCESS, endpoint: server.endpoint, progress: false } }
  return {
    next: async () => destination,
    async arrived() {
      const { numbers, firstAtMs } = await server.received()
      const tasks = numbers.length
      return { tasks, firstAtMs, numbers: tasks > FEW ? undefined : numbers.sort((a, b) => a - b) }
    },
    close: () => server.close(),
  }
}
