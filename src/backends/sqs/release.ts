/**
 * Releases leases. SQS counts each receive, for whatever reason. So a message that is released, or whose attempt
 * failed, is stored again with its history, and then the old one is deleted: the receive count of each storing counts
 * only holders that died. It is in the queue all the time; a process that dies between the two requests leaves it there
 * twice.
 */
import type { BatchFailure, Failure, Lease } from '../../backend/messages.js'
import { argumentError, LeaseLostError, MessageRefusedError } from '../../errors/errors.js'
import { elapsedMs } from '../../time/clock.js'
import { addressOf, isForbidden } from './faults.js'
import { longestDelaySeconds, type SqsMessage, storeMessages } from './insert.js'
import { changeVisibility, deleteLeases, type HeldLease, leaseLost, renewLeases, splitHeld } from './lease-changes.js'
import { type MessageHistory, withHistory } from './message-history.js'
import type { OpenQueue } from './open-queue.js'
import { maxReceives } from './redrive.js'
import { RetryPolicy } from './retry-policy.js'

/**
 * A lease that ends between the two requests leaves the message twice: the next holder has the old one, and its delete is
 * refused or comes too late. So one that has less than so long left is renewed before. Leases of 40 s and more never have
 * less, since a worker renews them at half. Seconds.
 */
const shortLeaseSeconds = 20
const renewedSeconds = 60

export interface ReleaseOptions {
  readonly delaySeconds: number
  readonly failure?: Failure
  readonly alone?: boolean
}

/** Releases leases; the messages may be leased again after `delaySeconds`. */
export async function releaseLeases(
  queue: OpenQueue,
  leases: readonly Lease[],
  options: ReleaseOptions,
): Promise<BatchFailure[]> {
  const { delaySeconds } = options
  if (!Number.isInteger(delaySeconds) || delaySeconds < 0 || delaySeconds > longestDelaySeconds) {
    throw argumentError('delaySeconds', `an integer from 0 to ${longestDelaySeconds}`, delaySeconds)
  }
  const { held, lost: failures } = splitHeld(queue, leases, { doing: 'release' })
  const add = (of: readonly HeldLease[], failed: readonly BatchFailure[]) => {
    for (const { index, error } of failed) failures.push({ index: of[index]?.index ?? -1, error })
  }
  const leftSince = options.failure === undefined ? Number.POSITIVE_INFINITY : await maxReceives(queue)
  // SQS is to count these.
  const left = held.filter(({ handle }) => options.failure !== undefined && handle.history.isLeftToSqs)
  const pending = held.filter(one => !left.includes(one))
  const lost = await renewShort(queue, pending)
  add(pending, lost)
  const others = pending.filter((_, place) => !lost.some(({ index }) => index === place))
  const { stored, refused, failed } = await storeAgain(queue, others, { ...options, leftSince })
  failures.push(...failed)
  refused.push(...left)
  add(stored, await deleteLeases(queue, stored.map(leaseIn), { doing: 'release', isLate: true }))
  add(refused, await changeVisibility(queue, refused.map(leaseIn), delaySeconds, 'release'))
  return failures
}

/** Resolves with the lost ones; other reasons that keep a lease from being renewed are reported by the next request. */
async function renewShort(queue: OpenQueue, held: readonly HeldLease[]): Promise<BatchFailure[]> {
  if (queue.state.mayNotStore) return []
  const nowMs = elapsedMs()
  const short: number[] = []
  for (const [place, { handle }] of held.entries()) {
    const isShort = handle.endsAtMs - nowMs < shortLeaseSeconds * 1000
    // SQS gives no more than its 12 hours.
    if (isShort && !handle.isStoredAgain && handle.lastEndMs - nowMs > renewedSeconds * 1000) short.push(place)
  }
  if (short.length === 0) return []
  const leases = held.filter((_, place) => short.includes(place)).map(leaseIn)
  const failures = await renewLeases(queue, leases, renewedSeconds)
  return failures
    .filter(({ error }) => error instanceof LeaseLostError)
    .map(({ index, error }) => ({ index: short[index] ?? -1, error }))
}

const leaseIn = ({ lease }: HeldLease): Lease => lease

interface StoredAgain {
  readonly stored: HeldLease[]
  /** SQS doesn't take them a second time. */
  readonly refused: HeldLease[]
  readonly failed: BatchFailure[]
}

/** `leftSince`: after this number of failures it is left to the queue's redrive policy. */
type StoreOptions = ReleaseOptions & { readonly leftSince: number }

async function storeAgain(queue: OpenQueue, held: readonly HeldLease[], options: StoreOptions): Promise<StoredAgain> {
  // An earlier call stored these and could not delete the old one.
  const stored = held.filter(({ handle }) => handle.isStoredAgain)
  let refused = held.filter(({ handle }) => !handle.isStoredAgain)
  const failed: BatchFailure[] = []
  // Near the limit of a message's size, the texts of its failures are left out.
  for (const failures of [true, false]) {
    const pending = refused
    if (pending.length === 0 || queue.state.mayNotStore) break
    refused = []
    const errors = await storeOnce(queue, pending, options, { failures })
    for (const [place, one] of pending.entries()) {
      const error = errors.get(place)
      if (error === undefined) {
        one.handle.isStoredAgain = true
        stored.push(one)
      } else if (isOver(one)) failed.push({ index: one.index, error: leaseLost(queue, one.lease, 'release', error) })
      else if (error instanceof MessageRefusedError) refused.push(one)
      else if (isForbidden(error)) {
        forbidden(queue, error)
        refused.push(one)
      } else failed.push({ index: one.index, error })
    }
  }
  return { stored, refused, failed }
}

const isOver = ({ handle }: HeldLease): boolean => handle.endsAtMs <= elapsedMs()

async function storeOnce(
  queue: OpenQueue,
  held: readonly HeldLease[],
  { delaySeconds, failure, alone, leftSince }: StoreOptions,
  { failures }: { failures: boolean },
): Promise<ReadonlyMap<number, Error>> {
  const notBeforeMs = queue.fifo && delaySeconds > 0 ? Date.now() + delaySeconds * 1000 : undefined
  const messages = held.map(({ lease, handle }): SqsMessage => {
    const history: MessageHistory = {
      ...(failure === undefined
        ? { ...handle.history, alone: alone ?? handle.history.alone }
        : withFailure(handle.history, failure, leftSince)),
      ...(notBeforeMs !== undefined && { notBeforeMs }),
    }
    const { id, body, incarnation = '' } = lease
    const attributes = withHistory(handle.attributes, history, { failures })
    return { id, body, passage: incarnation, group: handle.group, attributes }
  })
  // Past its end a lease is another's, who may finish the task: it must not be stored again then.
  const endsAtMs = (index: number) => held[index]?.handle.endsAtMs ?? 0
  const leftSeconds = (Math.max(...held.map(({ handle }) => handle.endsAtMs)) - elapsedMs()) / 1000
  const retry = new RetryPolicy(queue.connection, Math.min(queue.retrySeconds, leftSeconds))
  const sent = { delaySeconds: queue.fifo ? 0 : delaySeconds, retry, doing: 'release', endsAtMs }
  const reply = await storeMessages(queue, messages, sent)
  return new Map(reply.failures.map(({ index, error }) => [index, error]))
}

function withFailure(history: MessageHistory, failure: Failure, leftSince: number): MessageHistory {
  const failed = history.failed + 1
  return {
    ...history,
    failed,
    failures: [...history.failures, failure],
    alone: false,
    isLeftToSqs: failed >= leftSince,
  }
}

/**
 * Workers may have had permissions to receive and delete only: they continue, and SQS counts each of their receives.
 */
function forbidden(queue: OpenQueue, error: Error): void {
  if (queue.state.mayNotStore) return
  queue.state.mayNotStore = true
  process.emitWarning(
    `Tasks that are released in ${addressOf(queue.address)} count as if a worker had died with them, and their failures ` +
      `are not recorded: a worker needs the right sqs:SendMessage (${error.message})`,
    { type: 'PtqWarning', code: 'PTQ_SQS_NO_SEND' },
  )
}
