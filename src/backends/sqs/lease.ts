/** Leasing: as many receives as it takes, one long poll at a time. */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type {
  MessageSystemAttributeName,
  QueueAttributeName,
  ReceiveMessageRequest,
  Message as SqsMessage,
} from '@aws-sdk/client-sqs'
import { messageId } from '../../backend/envelope.js'
import type { Lease } from '../../backend/messages.js'
import { argumentError } from '../../errors/errors.js'
import { isErrorNamed } from '../../errors/thrown.js'
import { elapsedMs } from '../../time/clock.js'
import { onAbort } from '../../time/on-abort.js'
import { sleep } from '../../time/sleep.js'
import { requestError } from './faults.js'
import { checkLeaseSeconds, longestLeaseSeconds, type SqsHandle } from './handle.js'
import { idOfToken, longestDelaySeconds } from './insert.js'
import { changeVisibility } from './lease-changes.js'
import { type MessageHistory, readHistory } from './message-history.js'
import type { OpenQueue } from './open-queue.js'
import { RetryPolicy, sendWithRetry } from './retry-policy.js'

/** The most messages of one receive. */
const maxReceivedMessages = 10

/** The longest that SQS holds a receive back, in seconds. Source: ReceiveMessage. */
const maxPollSeconds = 20

/** Maximum transit time of a response, including a busy event loop, for which our end of a lease is not late. */
const maxTravelMs = 2_000

/** A long poll that comes back empty sooner than that is not followed by the next at once: some servers never wait. Milliseconds. */
const minPollMs = 1_000

/** The attributes requested with each message. */
const standardAttributes: readonly MessageSystemAttributeName[] = ['ApproximateReceiveCount', 'MessageGroupId']
const fifoAttributes: readonly MessageSystemAttributeName[] = [...standardAttributes, 'MessageDeduplicationId']

/** Options of a lease, as the backend's interface has them. */
export interface SqsLeaseOptions {
  readonly seconds: number
  readonly max: number
  readonly waitSeconds: number
  readonly signal?: AbortSignal
}

/**
 * Leases up to `max` messages. The first receive waits for `waitSeconds` in long polls; only if it returned something
 * are more sent: in parallel if it was full, else one by one, until one of them returns nothing.
 *
 * An abort ends the wait. What was received by then is returned, and so is an answer that has begun to come in; a
 * message that SQS hands to the dropped connection comes back when `seconds` are over.
 */
export async function leaseMessages(queue: OpenQueue, options: SqsLeaseOptions): Promise<Lease[]> {
  checkLeaseOptions(options)
  const { signal } = options
  if (signal === undefined) return leaseUpTo(queue, options)
  // One listener on the caller's signal, however many receives there are: Node takes more than 10 for a leak.
  const abort = new AbortController()
  setMaxListeners(0, abort.signal)
  const stopListening = onAbort(signal, () => abort.abort(signal.reason))
  try {
    return await leaseUpTo(queue, { ...options, signal: abort.signal })
  } finally {
    stopListening()
  }
}

async function leaseUpTo(queue: OpenQueue, options: SqsLeaseOptions): Promise<Lease[]> {
  const leases = await firstReceive(queue, options)
  let full = leases.length === maxReceivedMessages
  while (leases.length > 0 && leases.length < options.max && !options.signal?.aborted) {
    const missing = options.max - leases.length
    const sizes: number[] = []
    for (let left = missing; left > 0 && sizes.length < (full ? queue.concurrency : 1); left -= maxReceivedMessages) {
      sizes.push(Math.min(left, maxReceivedMessages))
    }
    const replies = await Promise.allSettled(sizes.map(size => receive(queue, options, size, 0)))
    const received = replies.flatMap(reply => (reply.status === 'fulfilled' ? reply.value.leases : []))
    leases.push(...received)
    // A receive that failed is no reason to drop what the others brought. If the fault lasts, the next lease rejects.
    if (received.length === 0 || replies.some(reply => reply.status === 'rejected')) break
    full = received.length === Math.min(missing, sizes.length * maxReceivedMessages)
  }
  return leases
}

function checkLeaseOptions({ seconds, max, waitSeconds }: SqsLeaseOptions): void {
  checkLeaseSeconds(seconds)
  if (!Number.isInteger(max) || max < 1) throw argumentError('max', 'an integer of 1 or more', max)
  if (!Number.isFinite(waitSeconds) || waitSeconds < 0) {
    throw argumentError('waitSeconds', 'a number of 0 or more', waitSeconds)
  }
}

async function firstReceive(queue: OpenQueue, options: SqsLeaseOptions): Promise<Lease[]> {
  const size = Math.min(options.max, maxReceivedMessages)
  const endsAtMs = performance.now() + options.waitSeconds * 1000
  for (;;) {
    if (options.signal?.aborted || queue.connection.closed) return []
    const leftSeconds = Math.max(0, endsAtMs - performance.now()) / 1000
    const pollSeconds = Math.min(maxPollSeconds, Math.ceil(leftSeconds))
    const sentAtMs = performance.now()
    const { leases, putOff } = await receive(queue, options, size, pollSeconds)
    const nowMs = performance.now()
    if (leases.length > 0 || nowMs >= endsAtMs) return leases
    // Postponed messages no longer block those behind them.
    if (putOff > 0) continue
    const pauseMs = Math.min(endsAtMs, sentAtMs + minPollMs) - nowMs
    if (pauseMs > 0) await sleep(pauseMs, options.signal, queue.connection.closing)
  }
}

/** The result of one receive. */
interface Reply {
  readonly leases: Lease[]
  /** Number of messages that came too early and were postponed. */
  readonly putOff: number
}

/** One receive. An abort resolves with no leases. */
async function receive(queue: OpenQueue, options: SqsLeaseOptions, size: number, pollSeconds: number): Promise<Reply> {
  const { connection } = queue
  const { seconds, signal } = options
  const attributes = queue.fifo ? fifoAttributes : standardAttributes
  const request: ReceiveMessageRequest = {
    QueueUrl: queue.url,
    MaxNumberOfMessages: size,
    VisibilityTimeout: seconds,
    WaitTimeSeconds: pollSeconds,
    MessageSystemAttributeNames: [...attributes],
    // Deprecated, and the only form that some servers know. The SDK types it as another list.
    AttributeNames: attributes.map(name => name as string as QueueAttributeName),
    // Other senders' too: they go along when the message is stored again.
    MessageAttributeNames: ['All'],
    // A lost response is repeated for the same attempt id (FIFO queues only).
    ...(queue.fifo && { ReceiveRequestAttemptId: randomUUID() }),
  }
  const client = connection.receiving()
  const abort = pollSeconds > 0 ? { signal, dispose: () => undefined } : lateAbort(signal)
  let sentAtMs = 0
  const send = () => {
    sentAtMs = elapsedMs()
    const command = new connection.sdk.ReceiveMessageCommand(request)
    return abort.signal === undefined ? client.send(command) : client.send(command, { abortSignal: abort.signal })
  }
  try {
    const reply = await sendWithRetry(send, new RetryPolicy(connection, queue.retrySeconds, signal))
    const heldSinceMs = handedOutAtMs(sentAtMs, seconds, pollSeconds)
    const leases: Lease[] = []
    const early: Lease[] = []
    let earlySeconds = 1
    for (const message of reply.Messages ?? []) {
      const { lease, waitSeconds } = leaseOf(message, heldSinceMs, seconds)
      if (waitSeconds === 0) leases.push(lease)
      else {
        early.push(lease)
        earlySeconds = Math.max(earlySeconds, waitSeconds)
      }
    }
    // One that can't be put off comes when its lease ends.
    if (early.length > 0) await changeVisibility(queue, early, earlySeconds, 'put off')
    return { leases, putOff: early.length }
  } catch (error) {
    if ((signal?.aborted || connection.closed) && isErrorNamed(error, 'AbortError')) return { leases: [], putOff: 0 }
    throw requestError(error, 'lease', queue.address)
  } finally {
    abort.dispose()
  }
}

/**
 * Aborted a little after `signal`. A receive that doesn't wait is answered soon: dropped, it would leave its messages
 * leased until their leases end.
 */
function lateAbort(signal: AbortSignal | undefined): { signal: AbortSignal | undefined; dispose: () => void } {
  if (signal === undefined) return { signal, dispose: () => undefined }
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  let timer: NodeJS.Timeout | undefined
  const stopListening = onAbort(signal, () => {
    timer = setTimeout(() => controller.abort(signal.reason), maxTravelMs)
  })
  return {
    signal: controller.signal,
    dispose: () => {
      stopListening()
      clearTimeout(timer)
    },
  }
}

/**
 * The earliest time at which SQS returned the messages: our end of a lease must not be later than that of SQS, or we
 * would change a message of another holder. Only in a long poll can that be long after the request was sent.
 */
function handedOutAtMs(sentAtMs: number, seconds: number, pollSeconds: number): number {
  if (pollSeconds === 0) return sentAtMs
  const travelMs = Math.min(maxTravelMs, (seconds * 1000) / 4)
  return Math.max(sentAtMs, elapsedMs() - travelMs)
}

interface Received {
  readonly lease: Lease
  /** The message was released with a delay that is not over: it has to wait for so long. */
  readonly waitSeconds: number
}

function leaseOf(message: SqsMessage, heldSinceMs: number, seconds: number): Received {
  const { Attributes, MessageAttributes, MessageId = '', Body = '', ReceiptHandle = '' } = message
  const token = Attributes?.MessageDeduplicationId
  const receives = Number(Attributes?.ApproximateReceiveCount ?? 1)
  const { notBeforeMs, ...before } = readHistory(MessageAttributes)
  // Each earlier holder of this storing ended without recording a failure: a holder that releases a message, or fails,
  // stores it again. Only the first receive of a message with a delay, on a FIFO queue, just postpones it.
  const silent = before.isLeftToSqs ? 0 : Math.max(0, receives - (notBeforeMs === undefined ? 1 : 2))
  const history: MessageHistory = {
    ...before,
    deaths: before.deaths + silent,
    deathsAlone: before.deathsAlone + (before.alone ? silent : 0),
  }
  const handle: SqsHandle = {
    receiptHandle: ReceiptHandle,
    endsAtMs: heldSinceMs + seconds * 1000,
    lastEndMs: heldSinceMs + longestLeaseSeconds * 1000,
    history,
    attributes: MessageAttributes,
    group: Attributes?.MessageGroupId,
    isStoredAgain: false,
  }
  const waitMs = notBeforeMs === undefined || receives > 1 ? 0 : notBeforeMs - Date.now()
  const lease: Lease = {
    // Python's bodies have no id, so SQS's own is used.
    id: token === undefined ? (messageId(Body) ?? MessageId) : idOfToken(token),
    body: Body,
    incarnation: MessageId,
    attempt: 1 + history.failed + history.deaths,
    deaths: history.deaths,
    // SQS sometimes returns a message a second time, or to a closed connection: one receive is no proof of a death.
    deathsAlone: Math.max(0, history.deathsAlone - 1),
    alone: history.alone,
    failures: history.failures,
    handle,
  }
  // Hosts whose clocks differ: no longer than a delay may be.
  return { lease, waitSeconds: Math.min(longestDelaySeconds, Math.max(0, Math.ceil(waitMs / 1000))) }
}
