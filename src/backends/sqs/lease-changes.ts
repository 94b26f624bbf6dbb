/** Renewing, releasing and deleting leases, in batches of 10. */
import type { BatchFailure, Lease } from '../../backend.js'
import { argumentError, LeaseLostError } from '../../errors.js'
import { BATCH_ENTRIES, type BatchReply, ENTRY_IDS, sendBatch } from './batch.js'
import { addressOf } from './faults.js'
import { MAX_DELAY_SECONDS } from './insert.js'
import { checkLeaseSeconds, type SqsHandle } from './lease.js'
import type { OpenQueue } from './open-queue.js'
import { Patience } from './patience.js'

interface HandleEntry {
  readonly Id: string | undefined
  readonly ReceiptHandle: string
}

/** The lease now ends `seconds` from now. SQS grants 12 hours in all, from the first receive on. */
export function renewLeases(queue: OpenQueue, leases: readonly Lease[], seconds: number): Promise<BatchFailure[]> {
  checkLeaseSeconds(seconds)
  return changeLeases(queue, leases, 'renew', async (entries, end) => {
    // Before the request, so that our end is never later than that of SQS.
    const endsAtMs = performance.now() + seconds * 1000
    const reply = await changeVisibility(queue, entries, seconds)
    end(reply, endsAtMs)
    return reply
  })
}

/** Gives leases back; the messages may be leased again after `delaySeconds`. */
export function releaseLeases(
  queue: OpenQueue,
  leases: readonly Lease[],
  delaySeconds: number,
): Promise<BatchFailure[]> {
  if (!Number.isInteger(delaySeconds) || delaySeconds < 0 || delaySeconds > MAX_DELAY_SECONDS) {
    throw argumentError('delaySeconds', `an integer from 0 to ${MAX_DELAY_SECONDS}`, delaySeconds)
  }
  return changeLeases(queue, leases, 'release', async (entries, end) => {
    const reply = await changeVisibility(queue, entries, delaySeconds)
    end(reply, Number.NEGATIVE_INFINITY)
    return reply
  })
}

/** Removes finished messages. */
export function deleteLeases(queue: OpenQueue, leases: readonly Lease[]): Promise<BatchFailure[]> {
  const { connection, url } = queue
  return changeLeases(queue, leases, 'delete', async (Entries, end) => {
    const reply = await connection.requests.send(
      new connection.sdk.DeleteMessageBatchCommand({ QueueUrl: url, Entries }),
    )
    end(reply, Number.NEGATIVE_INFINITY)
    return reply
  })
}

function changeVisibility(
  { connection, url }: OpenQueue,
  entries: HandleEntry[],
  seconds: number,
): Promise<BatchReply> {
  const Entries = entries.map(entry => ({ ...entry, VisibilityTimeout: seconds }))
  return connection.requests.send(new connection.sdk.ChangeMessageVisibilityBatchCommand({ QueueUrl: url, Entries }))
}

/** Writes the new end into the handles of the entries that went through. */
type End = (reply: BatchReply, endsAtMs: number) => void

type SendChange = (entries: HandleEntry[], end: End) => Promise<BatchReply>

/**
 * SQS takes an old handle in a delete without a word (standard queues), and so do some servers in a renewal. So a lease
 * whose time is over by our own clock is lost here, before anything is sent.
 */
async function changeLeases(
  queue: OpenQueue,
  leases: readonly Lease[],
  doing: string,
  send: SendChange,
): Promise<BatchFailure[]> {
  const failures: BatchFailure[] = []
  const held: { index: number; lease: Lease; handle: SqsHandle }[] = []
  const nowMs = performance.now()
  for (const [index, lease] of leases.entries()) {
    // Whoever holds a Lease got it from leaseMessages.
    const handle = lease.handle as SqsHandle
    if (handle.endsAtMs > nowMs) held.push({ index, lease, handle })
    else failures.push({ index, error: leaseLost(queue, lease, doing) })
  }
  const changeBatch = async (batch: typeof held): Promise<void> => {
    const end: End = (reply, endsAtMs) => {
      for (const { Id } of reply.Successful ?? []) {
        const changed = batch[Number(Id)]
        if (changed !== undefined) changed.handle.endsAtMs = endsAtMs
      }
    }
    const entries = batch.map(({ handle }, place) => ({ Id: ENTRY_IDS[place], ReceiptHandle: handle.receiptHandle }))
    const lastEndMs = batch.reduce((latest, { handle }) => Math.max(latest, handle.endsAtMs), 0)
    // Once the leases are over there is nothing left to change.
    const patience = new Patience(queue.connection, Math.min(queue.retrySeconds, (lastEndMs - nowMs) / 1000))
    const outcome = await sendBatch(entries, pending => send(pending, end), { patience, doing, queue: queue.address })
    for (const [id, failure] of outcome.failures) {
      const failed = batch[Number(id)]
      if (failed === undefined) continue
      const { index, lease, handle } = failed
      const lost = failure.leaseLost || handle.endsAtMs <= performance.now()
      if (lost) handle.endsAtMs = Number.NEGATIVE_INFINITY
      failures.push({ index, error: lost ? leaseLost(queue, lease, doing, failure.error) : failure.error })
    }
  }
  const batches: Promise<void>[] = []
  for (let start = 0; start < held.length; start += BATCH_ENTRIES) {
    batches.push(changeBatch(held.slice(start, start + BATCH_ENTRIES)))
  }
  await Promise.all(batches)
  return failures
}

function leaseLost(queue: OpenQueue, { id }: Lease, doing: string, cause?: Error): LeaseLostError {
  return new LeaseLostError(
    `Can't ${doing} message ${id} of ${addressOf(queue.address)}: its lease ran out or was given back, so it may be ` +
      `another worker's now; lease for longer or renew in time`,
    { id, cause },
  )
}
