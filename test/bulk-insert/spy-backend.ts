/** A backend that writes down what threads do with it: one line of JSON an event, in the file that its URL names. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { threadId } from 'node:worker_threads'
import { type Backend, type BackendOptions, type BatchFailure, type Message, registerBackend } from 'ptq'

/** A line of the file. */
export type SpyEvent = { readonly thread: number } & (
  | { readonly event: 'open'; readonly options: BackendOptions }
  | {
      readonly event: 'insert'
      readonly ids: readonly string[]
      readonly indices: readonly number[]
      readonly delaySeconds: number
    }
  | { readonly event: 'count'; readonly added: number }
  | { readonly event: 'close' }
)

/** Options of a spy queue. */
export interface SpyOptions extends BackendOptions {
  /** Messages with these payload numbers are not stored. */
  readonly refuse?: readonly number[]
  /** An insert with this number of tasks never ends: its thread dies during it. */
  readonly dieWith?: number
}

/** The recorded events. */
export function eventsOf(file: string): SpyEvent[] {
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
}

async function open(url: { path: string }, options: SpyOptions): Promise<Backend> {
  const { refuse = [], dieWith } = options
  const say = (event: object) => appendFileSync(url.path, `${JSON.stringify({ thread: threadId, ...event })}\n`)
  say({ event: 'open', options })
  const refused = () => Promise.reject(new Error('The spy only takes inserts'))
  return {
    capabilities: {
      insertBatch: 10,
      leaseBatch: 10,
      exactCounts: false,
      counters: false,
      listing: false,
      releaseAll: false,
      history: false,
      dedupesInserts: false,
      maxDelaySeconds: 900,
      maxLeaseSeconds: 900,
      secondsStep: 1,
    },
    label: `spy ${url.path}`,
    queueName: url.path,
    async insert(messages: readonly Message[], { delaySeconds }): Promise<BatchFailure[]> {
      const indices = messages.map(({ body }) => JSON.parse(body).payload[1][0] as number)
      if (dieWith !== undefined && indices.includes(dieWith)) process.exit(4)
      say({ event: 'insert', ids: messages.map(({ id }) => id), indices, delaySeconds })
      return indices.flatMap((i, index) => (refuse.includes(i) ? [{ index, error: new Error(`refused ${i}`) }] : []))
    },
    async addInserted(added) {
      say({ event: 'count', added })
    },
    lease: refused,
    renew: refused,
    release: refused,
    delete: refused,
    counts: refused,
    purge: async () => undefined,
    async close() {
      // A thread closes the queue a second later, when the test may have removed the file.
      if (existsSync(url.path)) say({ event: 'close' })
    },
  }
}

registerBackend('spy', { open })
