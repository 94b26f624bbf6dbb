/** A Redis queue as the core sees it. */
import type { Backend, Capabilities, Counts, WorkerStatus } from '../../backend/backend.js'
import type { BatchFailure, Failure, Lease, ListedMessage, Message } from '../../backend/messages.js'
import { purge, releaseAll } from './clearing.js'
import { addInserted, countMessages, exists, rezero } from './counts.js'
import { insertBatch, insertMessages } from './insert.js'
import { leaseBatch, leaseMessages, type RedisLeaseOptions } from './lease.js'
import {
  deleteLeases,
  moveLeased,
  quarantine,
  releaseLeases,
  renewLeases,
  replaceBody,
  runsAlone,
} from './lease-changes.js'
import { failuresOf, listMessages } from './listing.js'
import { moveMessages } from './move.js'
import type { RedisQueue } from './queue.js'
import { RedisResults } from './results.js'
import { isSameQueue } from './same-queue.js'
import type { ServerFacts } from './server.js'
import { RedisUploads } from './uploads.js'
import { reportWorker, workersOf } from './workers.js'

// A hundred years: a longer time is a slip (milliseconds, a date).
const longestSeconds = 36_525 * 24 * 3600

const capabilities: Capabilities = {
  insertBatch,
  // The server runs one script at a time: some more keep it busy while the next ones are made.
  insertsAtOnce: 4,
  leaseBatch,
  exactCounts: true,
  counters: true,
  listing: true,
  releaseAll: true,
  history: true,
  dedupesInserts: true,
  maxDelaySeconds: longestSeconds,
  maxLeaseSeconds: longestSeconds,
  secondsStep: 0.001,
  longPolling: true,
}

export class RedisBackend implements Backend {
  readonly capabilities = capabilities
  readonly label: string
  readonly queueName: string
  readonly deadLetterUrl: string
  readonly uploads: RedisUploads
  readonly results: RedisResults
  readonly #queue: RedisQueue
  readonly #server: ServerFacts
  readonly #db: number

  /** @param deadLetterUrl of the dead-letter queue, in a form that can be opened */
  constructor(queue: RedisQueue, server: ServerFacts, db: number, deadLetterUrl: string) {
    this.#queue = queue
    this.#server = server
    this.#db = db
    this.label = queue.label
    this.queueName = queue.name
    this.deadLetterUrl = deadLetterUrl
    this.uploads = new RedisUploads(queue)
    this.results = new RedisResults(queue)
  }

  async isSame(other: Backend): Promise<boolean> {
    return other instanceof RedisBackend && isSameQueue(this.#queue, other.#queue)
  }

  insert(messages: readonly Message[], { delaySeconds }: { delaySeconds: number }): Promise<readonly BatchFailure[]> {
    return insertMessages(this.#queue, messages, delaySeconds)
  }

  lease(options: RedisLeaseOptions): Promise<Lease[]> {
    return leaseMessages(this.#queue, options)
  }

  renew(leases: readonly Lease[], seconds: number): Promise<readonly BatchFailure[]> {
    return renewLeases(this.#queue, leases, seconds)
  }

  release(
    leases: readonly Lease[],
    options: { delaySeconds: number; failure?: Failure },
  ): Promise<readonly BatchFailure[]> {
    return releaseLeases(this.#queue, leases, options)
  }

  replace(lease: Lease, body: string): Promise<void> {
    return replaceBody(this.#queue, lease, body)
  }

  runsAlone(lease: Lease): Promise<void> {
    return runsAlone(this.#queue, lease)
  }

  delete(
    leases: readonly Lease[],
    options: { tally: boolean; completions?: readonly number[] },
  ): Promise<readonly BatchFailure[]> {
    return deleteLeases(this.#queue, leases, options)
  }

  counts(): Promise<Counts> {
    return countMessages(this.#queue)
  }

  async purge(_options: { native: boolean }): Promise<void> {
    await purge(this.#queue)
    await this.results.clear()
  }

  addInserted(count: number): Promise<void> {
    return addInserted(this.#queue, count)
  }

  rezero(): Promise<void> {
    return rezero(this.#queue)
  }

  releaseAll(): Promise<number> {
    return releaseAll(this.#queue)
  }

  list(): AsyncGenerator<ListedMessage> {
    return listMessages(this.#queue)
  }

  moveTo(other: Backend, { signal }: { signal: AbortSignal }): AsyncIterable<number> | undefined {
    return this.#reaches(other) ? moveMessages(this.#queue, other.#queue, signal) : undefined
  }

  async moveLeased(lease: Lease, message: Message, other: Backend): Promise<boolean> {
    if (!this.#reaches(other)) return false
    await moveLeased(this.#queue, lease, message, other.#queue)
    return true
  }

  /** A script reaches the keys of one database, and of a cluster those of one node. */
  #reaches(other: Backend): other is RedisBackend {
    if (!(other instanceof RedisBackend)) return false
    const isReachable = other.#server.runId === this.#server.runId && other.#db === this.#db
    return isReachable && this.#server.runId !== '' && !this.#server.isCluster
  }

  quarantine(lease: Lease, reason: string): Promise<void> {
    return quarantine(this.#queue, lease, reason)
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

  exists(): Promise<boolean> {
    return exists(this.#queue)
  }

  async close(): Promise<void> {
    this.#queue.connection.close()
  }
}
