/** Changing the visibility of leased messages, and deleting them, in batches of 10. */
import type { BatchFailure, Lease } from '../../backend/messages.js'
import { LeaseLostError, MessageRefusedError } from '../../errors/errors.js'
import { elapsedMs } from '../../time/clock.js'
import { type BatchReply, batchEntries, entryIds, sendBatch } from './batch.js'
import { addressOf } from './faults.js'
import { checkLeaseSeconds, type SqsHandle } from './handle.js'
import { setDeadline } from './late-attempts.js'
import type { OpenQueue } from './open-queue.js'
import { RetryPolicy } from './retry-policy.js'

interface HandleEntry {
  readonly Id: string | undefined
  readonly ReceiptHandle: string
}

/** A lease, and its place in the caller's array. */
export interface HeldLease {
  readonly index: number
  readonly lease: Lease
  readonly handle: SqsHandle
}

/**
 * The lease now ends `seconds` from now, or when the 12 hours are over that SQS grants in all, from the receive on.
 */
export function renewLeases(queue: OpenQueue, leases: readonly Lease[], seconds: number): Promise<BatchFailure[]> {
  checkLeaseSeconds(seconds)
  return changeLeases(queue, leases, { doing: 'renew', send: visibility(queue, seconds), endAfterSeconds: seconds })
}

/** The messages may be leased again after `seconds`; SQS continues counting their receives. */
export function changeVisibility(
  queue: OpenQueue,
  leases: readonly Lease[],
  seconds: number,
  doing: string,
): Promise<BatchFailure[]> {
  return changeLeases(queue, leases, { doing, send: visibility(queue, seconds) })
}

/**
 * Removes messages.
 *
 * @param options.isLate also those whose lease is over by our clock: only where losing such a message is no loss, since it
 *   was stored again. Default false
 */
export function deleteLeases(
  queue: OpenQueue,
  leases: readonly Lease[],
  { doing = 'delete', isLate = false }: { doing?: string; isLate?: boolean } = {},
): Promise<BatchFailure[]> {
  const { connection, url } = queue
  const send: SendChange = (held, { deadlineMs }) => {
    const command = new connection.sdk.DeleteMessageBatchCommand({ QueueUrl: url, Entries: held.map(entryOf) })
    return connection.requests.send(command, setDeadline(connection.requests, command, deadlineMs))
  }
  return changeLeases(queue, leases, { doing, send, isLate })
}

type Entry = HeldLease & { readonly Id: string | undefined }

type SendChange = (entries: readonly Entry[], times: RequestTimes) => Promise<BatchReply>

interface RequestTimes {
  readonly sentAtMs: number
  /** No attempt may be made after it; `undefined`: no limit. */
  readonly deadlineMs: number | undefined
}

function entryOf({ Id, handle }: Entry): HandleEntry {
  return { Id, ReceiptHandle: handle.receiptHandle }
}

function visibility({ connection, url }: OpenQueue, seconds: number): SendChange {
  return (held, { sentAtMs, deadlineMs }) => {
    const Entries = held.map(entry => ({
      ...entryOf(entry),
      VisibilityTimeout: grantedSeconds(entry.handle, seconds, sentAtMs),
    }))
    const command = new connection.sdk.ChangeMessageVisibilityBatchCommand({ QueueUrl: url, Entries })
    return connection.requests.send(command, setDeadline(connection.requests, command, deadlineMs))
  }
}

/** Renewed up to the limit, a lease ends this much before it at the earliest. */
const limitSlackMs = 2_000

/** SQS refuses more than what is left of its 12 hours; 0 would give the message back. */
function grantedSeconds({ lastEndMs }: SqsHandle, seconds: number, nowMs: number): number {
  return Math.min(seconds, Math.max(0, Math.floor((lastEndMs - nowMs) / 1000) - 1))
}

/** The lease lasts until the end of the 12 hours already. A renewal could only shorten it. */
function isAtLimit(handle: SqsHandle, seconds: number): boolean {
  const nowMs = elapsedMs()
  const granted = grantedSeconds(handle, seconds, nowMs)
  return granted < seconds && nowMs + granted * 1000 <= handle.endsAtMs
}

/** Splits off the leases that have ended by our own clock: SQS would often still accept their handles. */
export function splitHeld(
  queue: OpenQueue,
  leases: readonly Lease[],
  { doing, isLate = false }: { doing: string; isLate?: boolean },
): { held: HeldLease[]; lost: BatchFailure[] } {
  const nowMs = elapsedMs()
  const held: HeldLease[] = []
  const lost: BatchFailure[] = []
  for (const [index, lease] of leases.entries()) {
    // Every Lease comes from leaseMessages.
    const handle = lease.handle as SqsHandle
    if (isLate || handle.endsAtMs > nowMs) held.push({ index, lease, handle })
    else lost.push({ index, error: leaseLost(queue, lease, doing) })
  }
  return { held, lost }
}

/**
 * SQS silently accepts an old handle in a delete (standard queues), and so do some servers in a renewal. So a lease
 * that has ended by our own clock is lost here, and no attempt is made after that, not by the SDK either.
 */
async function changeLeases(
  queue: OpenQueue,
  leases: readonly Lease[],
  change: { doing: string; send: SendChange; endAfterSeconds?: number; isLate?: boolean },
): Promise<BatchFailure[]> {
  const { doing, send, endAfterSeconds } = change
  const { held: heldByUs, lost: failures } = splitHeld(queue, leases, change)
  const held =
    endAfterSeconds === undefined ? heldByUs : heldByUs.filter(one => !isAtLimit(one.handle, endAfterSeconds))
  const changeBatch = async (batch: readonly HeldLease[]): Promise<void> => {
    const entries = batch.map((one, place) => ({ ...one, Id: entryIds[place] }))
    const sendAndNote = async (pending: readonly Entry[], deadlineMs: number | undefined): Promise<BatchReply> => {
      // Before the request, so that our end is never later than that of SQS.
      const sentAtMs = elapsedMs()
      const reply = await send(pending, { sentAtMs, deadlineMs })
      for (const { Id } of reply.Successful ?? []) {
        const changed = batch[Number(Id)]?.handle
        if (changed === undefined) continue
        changed.endsAtMs =
          endAfterSeconds === undefined
            ? Number.NEGATIVE_INFINITY
            : sentAtMs + grantedSeconds(changed, endAfterSeconds, sentAtMs) * 1000
      }
      return reply
    }
    const lastEndMs = batch.reduce((latest, { handle }) => Math.max(latest, handle.endsAtMs), 0)
    // Once the leases are over there is nothing left to change.
    const leftSeconds = (lastEndMs - elapsedMs()) / 1000
    const retry = new RetryPolicy(queue.connection, Math.min(queue.retrySeconds, leftSeconds))
    const outcome = await sendBatch(entries, sendAndNote, {
      retry,
      doing,
      queue: queue.address,
      ...(!change.isLate && { endsAtMs: ({ handle }: Entry) => handle.endsAtMs }),
    })
    for (const [place, { error, fault }] of outcome.failures) {
      const failed = batch[Number(place)]
      if (failed === undefined) continue
      const { index, lease, handle } = failed
      if (fault === 'lease-lost' || (handle.endsAtMs <= elapsedMs() && !change.isLate)) {
        handle.endsAtMs = Number.NEGATIVE_INFINITY
        failures.push({ index, error: leaseLost(queue, lease, doing, error) })
      } else {
        const { id } = lease
        failures.push({
          index,
          error: fault === 'message' ? new MessageRefusedError(error.message, { id, cause: error }) : error,
        })
      }
    }
  }
  const batches: Promise<void>[] = []
  for (let start = 0; start < held.length; start += batchEntries) {
    batches.push(changeBatch(held.slice(start, start + batchEntries)))
  }
  await Promise.all(batches)
  return failures
}

/** The error of a lease that is over. */
export function leaseLost(queue: OpenQueue, lease: Lease, doing: string, cause?: Error): LeaseLostError {
  const { id } = lease
  const wasLongest = elapsedMs() >= (lease.handle as SqsHandle).lastEndMs - limitSlackMs
  const why = wasLongest
    ? 'SQS ends each lease 12 hours after the message was received, however often it is renewed; cut the task into shorter ones'
    : "its lease ran out or was released, so it may be another worker's now; lease for longer or renew in time"
  return new LeaseLostError(`Can't ${doing} message ${id} of ${addressOf(queue.address)}: ${why}`, { id, cause })
}
