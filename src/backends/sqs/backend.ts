/** An SQS queue as a backend. */
import type { Backend, Capabilities, Counts } from '../../backend/backend.js'
import type { BatchFailure, Lease, Message } from '../../backend/messages.js'
import { batchEntries } from './batch.js'
import { countMessages, emptySamples } from './counts.js'
import { addressOf } from './faults.js'
import { longestLeaseSeconds } from './handle.js'
import { insertMessages, longestDelaySeconds } from './insert.js'
import { leaseMessages, type SqsLeaseOptions } from './lease.js'
import { changeVisibility, deleteLeases, renewLeases } from './lease-changes.js'
import type { OpenQueue } from './open-queue.js'
import { purgeByDraining, purgeNatively } from './purge.js'
import { maxReceives } from './redrive.js'
import { type ReleaseOptions, releaseLeases } from './release.js'

/** Messages that may be received and not deleted at one time, of standard and FIFO queues. Source: SQS quotas. */
const maxInFlight = 120_000

/** An SQS queue. Made by the {@link opener} of this folder. */
export class SqsBackend implements Backend {
  readonly capabilities: Capabilities
  readonly label: string
  /** The queue's own URL, which contains the account. */
  readonly identity: string
  readonly queueName: string
  readonly #queue: OpenQueue

  /** @param queueName goes into each envelope: the queue as the user wrote it, as in Python */
  constructor(queue: OpenQueue, queueName: string) {
    this.#queue = queue
    this.queueName = queueName
    this.label = addressOf(queue.address)
    this.identity = queue.url
    this.capabilities = {
      insertBatch: batchEntries,
      leaseBatch: batchEntries,
      exactCounts: false,
      counters: false,
      listing: false,
      releaseAll: false,
      history: false,
      // A FIFO queue drops an id that is sent again within 5 minutes, whether or not it is still enqueued: less than
      // what this promises.
      dedupesInserts: false,
      maxDelaySeconds: longestDelaySeconds,
      maxLeaseSeconds: longestLeaseSeconds,
      maxLeased: maxInFlight,
      secondsStep: 1,
      emptyConfirmations: { samples: emptySamples, windowSeconds: queue.emptyWindowSeconds },
      historyInLeases: true,
      releasesAlone: true,
      longPolling: true,
      asciiBodies: true,
    }
  }

  insert(messages: readonly Message[], { delaySeconds }: { delaySeconds: number }): Promise<readonly BatchFailure[]> {
    return insertMessages(this.#queue, messages, delaySeconds)
  }

  lease(options: SqsLeaseOptions): Promise<Lease[]> {
    return leaseMessages(this.#queue, options)
  }

  async renew(leases: readonly Lease[], seconds: number): Promise<readonly BatchFailure[]> {
    return renewLeases(this.#queue, leases, seconds)
  }

  release(leases: readonly Lease[], options: ReleaseOptions): Promise<readonly BatchFailure[]> {
    return releaseLeases(this.#queue, leases, options)
  }

  /**
   * Puts a message that is no task off, for longer each time, and as it is: its receive count grows, and the queue's redrive
   * policy moves it away in the end.
   */
  async quarantine(lease: Lease): Promise<void> {
    const delaySeconds = Math.min(2 ** Math.min(lease.attempt, 20), longestDelaySeconds)
    const [failure] = await changeVisibility(this.#queue, [lease], delaySeconds, 'put off')
    if (failure !== undefined) throw failure.error
  }

  /** SQS keeps no count of completions: `tally` changes nothing. */
  async delete(leases: readonly Lease[]): Promise<readonly BatchFailure[]> {
    return deleteLeases(this.#queue, leases)
  }

  counts(): Promise<Counts> {
    return countMessages(this.#queue)
  }

  purge({ native }: { native: boolean }): Promise<void> {
    return native ? purgeNatively(this.#queue) : purgeByDraining(this.#queue)
  }

  /** The `maxReceiveCount` of the redrive policy. */
  async ownMaxAttempts(): Promise<number | undefined> {
    const count = await maxReceives(this.#queue)
    return Number.isFinite(count) ? count : undefined
  }

  async close(): Promise<void> {
    this.#queue.connection.close()
  }
}
