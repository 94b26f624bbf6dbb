/** A queue in PostgreSQL as a backend. */
import type { Backend, Capabilities, Counts, QueueUrl, WorkerStatus } from '../../backend/backend.js'
import type { BatchFailure, Failure, Lease, ListedMessage, Message } from '../../backend/messages.js'
import { siblingUrl } from '../../backend/server-url.js'
import { elapsedMs } from '../../time/clock.js'
import { addInserted, countMessages, purge, releaseAll, rezero } from './counts.js'
import { insertBatch, insertMessages, maxSeconds } from './insert.js'
import { Leasing } from './lease.js'
import {
  deleteLeases,
  leaseBatch,
  markAlone,
  moveLeased,
  releaseLeases,
  renewLeases,
  replaceBody,
  setAside,
} from './lease-changes.js'
import { failuresOf, listMessages } from './listing.js'
import { moveMessages } from './move.js'
import type { PostgresQueue } from './queue.js'
import { PostgresResults } from './results.js'
import type { Database } from './schema.js'
import { PostgresUploads } from './uploads.js'
import { WakeUps } from './wake-up.js'
import { reportWorker, workersOf } from './workers.js'

/** A queue in PostgreSQL. Made by the {@link opener} of this folder. */
export class PostgresBackend implements Backend {
  readonly capabilities: Capabilities
  readonly label: string
  /** The database, as no other has it, and the queue's name. */
  readonly identity: string
  readonly queueName: string
  readonly deadLetterUrl: string
  readonly uploads: PostgresUploads
  readonly results: PostgresResults
  readonly #queue: PostgresQueue
  readonly #database: string
  readonly #leasing: Leasing
  readonly #wakeUps: WakeUps

  constructor(queue: PostgresQueue, url: QueueUrl, { identity, isUnicode }: Database) {
    this.#queue = queue
    this.#database = identity
    this.label = queue.label
    this.identity = `postgres ${identity} ${queue.name}`
    this.queueName = queue.name
    this.deadLetterUrl = siblingUrl(url, `${queue.name}/failed`)
    this.#leasing = new Leasing(queue)
    this.#wakeUps = new WakeUps(queue.connection, queue.name)
    this.uploads = new PostgresUploads(queue, () => void this.#wakeUps.notify())
    this.results = new PostgresResults(queue, isUnicode)
    this.capabilities = {
      insertBatch,
      insertsAtOnce: queue.connection.width,
      leaseBatch,
      exactCounts: true,
      counters: true,
      listing: true,
      releaseAll: true,
      history: true,
      historyInLeases: true,
      dedupesInserts: true,
      maxDelaySeconds: maxSeconds,
      maxLeaseSeconds: maxSeconds,
      secondsStep: 0.001,
      longPolling: true,
      asciiBodies: !isUnicode,
    }
  }

  async insert(
    messages: readonly Message[],
    { delaySeconds }: { delaySeconds: number },
  ): Promise<readonly BatchFailure[]> {
    const failures = await insertMessages(this.#queue, messages, delaySeconds)
    await this.#wakeUps.notify()
    return failures
  }

  async lease(options: { seconds: number; max: number; waitSeconds: number; signal?: AbortSignal }): Promise<Lease[]> {
    const { seconds, max, waitSeconds, signal } = options
    const endMs = elapsedMs() + waitSeconds * 1000
    for (;;) {
      if (signal?.aborted) return []
      // Before the search, so that what comes during it is not missed.
      const wait = this.#wakeUps.wait(signal)
      try {
        const leases = await this.#leasing.take(seconds, max)
        if (leases.length > 0 || elapsedMs() >= endMs || signal?.aborted || this.#queue.connection.closing.aborted)
          return leases
        if (await this.#wakeUps.listen()) continue
        const dueMs = ((await this.#leasing.due()) ?? Number.POSITIVE_INFINITY) * 1000
        // The next search has to find due messages: one that comes a moment early finds nothing.
        await wait.end(Math.min(endMs - elapsedMs(), dueMs + 1, this.#wakeUps.longestWaitMs))
      } finally {
        wait.cancel()
      }
    }
  }

  renew(leases: readonly Lease[], seconds: number): Promise<readonly BatchFailure[]> {
    return renewLeases(this.#queue, leases, seconds)
  }

  async release(
    leases: readonly Lease[],
    { delaySeconds, failure }: { delaySeconds: number; failure?: Failure },
  ): Promise<readonly BatchFailure[]> {
    const failures = await releaseLeases(this.#queue, leases, delaySeconds, failure)
    await this.#wakeUps.notify()
    return failures
  }

  runsAlone(lease: Lease): Promise<void> {
    return markAlone(this.#queue, lease)
  }

  delete(
    leases: readonly Lease[],
    options: { tally: boolean; completions?: readonly number[] },
  ): Promise<readonly BatchFailure[]> {
    return deleteLeases(this.#queue, leases, options)
  }

  replace(lease: Lease, body: string): Promise<void> {
    return replaceBody(this.#queue, lease, body)
  }

  counts(): Promise<Counts> {
    return countMessages(this.#queue)
  }

  async purge(): Promise<void> {
    await purge(this.#queue)
    await this.results.clear()
  }

  addInserted(count: number): Promise<void> {
    return addInserted(this.#queue, count)
  }

  rezero(): Promise<void> {
    return rezero(this.#queue)
  }

  async releaseAll(): Promise<number> {
    const released = await releaseAll(this.#queue)
    await this.#wakeUps.notify()
    return released
  }

  list({ wanted }: { wanted?: (id: string) => boolean } = {}): AsyncIterable<ListedMessage> {
    return listMessages(this.#queue, wanted)
  }

  /** Exact between the queues of one database. */
  moveTo(other: Backend, { signal }: { signal: AbortSignal }): AsyncIterable<number> | undefined {
    if (!(other instanceof PostgresBackend) || other.#database !== this.#database) return undefined
    return this.#moveTo(other, signal)
  }

  async *#moveTo(other: PostgresBackend, signal: AbortSignal): AsyncGenerator<number, void, undefined> {
    for await (const moved of moveMessages(this.#queue, other.#queue, signal)) {
      await other.#wakeUps.notify()
      yield moved
    }
  }

  /** Within one database. */
  async moveLeased(lease: Lease, message: Message, other: Backend): Promise<boolean> {
    if (!(other instanceof PostgresBackend) || other.#database !== this.#database) return false
    await moveLeased(this.#queue, lease, message, other.#queue)
    await other.#wakeUps.notify()
    return true
  }

  quarantine(lease: Lease, reason: string): Promise<void> {
    return setAside(this.#queue, lease, reason)
  }

  failures({ id }: { readonly id: string }): Promise<readonly Failure[]> {
    return failuresOf(this.#queue, id)
  }

  reportWorker(worker: string, status: WorkerStatus | undefined): Promise<void> {
    return reportWorker(this.#queue, worker, status)
  }

  workers(): Promise<readonly WorkerStatus[]> {
    return workersOf(this.#queue)
  }

  async exists(): Promise<boolean> {
    const rows = await this.#queue.read('open', 'SELECT id FROM ptq.queues WHERE name = $1')
    return rows?.[0] !== undefined
  }

  /** The same queue of the same database, for any form of its URL. */
  async isSame(other: Backend): Promise<boolean> {
    return other instanceof PostgresBackend && other.identity === this.identity
  }

  async close(): Promise<void> {
    this.#queue.connection.stop()
    await this.#wakeUps.close()
    await this.#queue.idle()
    await this.#queue.connection.close()
  }
}
