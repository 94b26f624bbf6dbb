/** Inserting: batches packed by count and by bytes. */
import { createHash } from 'node:crypto'
import type { SendMessageBatchRequestEntry } from '@aws-sdk/client-sqs'
import type { BatchFailure, Message } from '../../backend/messages.js'
import { argumentError, MessageRefusedError, UnsupportedOperationError } from '../../errors/errors.js'
import { batchEntries, entryIds, sendBatch } from './batch.js'
import { maxBytes, refusalOf } from './body.js'
import { setDeadline } from './late-attempts.js'
import { type Attributes, bytesOfAttributes } from './message-history.js'
import type { OpenQueue } from './open-queue.js'
import { RetryPolicy } from './retry-policy.js'

/** The longest delay of a message, in seconds. Source: SendMessage in the SQS API reference. */
export const longestDelaySeconds = 900

/** A message with fields that only SQS has. */
export interface SqsMessage extends Message {
  /** Its message group. Default: the id on FIFO queues, none on others. */
  readonly group?: string | undefined
  readonly attributes?: Attributes
}

/** Entries of one request, with their indices in the caller's array. */
interface Packed {
  readonly entries: SendMessageBatchRequestEntry[]
  readonly indices: number[]
  bytes: number
}

/**
 * Stores messages; those that SQS would refuse are never sent.
 *
 * @throws TypeError for a delay that SQS doesn't support; nothing was sent then
 * @throws Error where a request failed as a whole and no message is known to be stored
 */
export async function insertMessages(
  queue: OpenQueue,
  messages: readonly Message[],
  delaySeconds: number,
): Promise<readonly BatchFailure[]> {
  checkDelay(queue, delaySeconds)
  const retry = new RetryPolicy(queue.connection, queue.retrySeconds)
  const { failures, rejected } = await storeMessages(queue, messages, { delaySeconds, retry, doing: 'insert' })
  if (rejected !== undefined && failures.length === messages.length) throw rejected
  return failures
}

interface StoreOptions {
  readonly delaySeconds: number
  readonly retry: RetryPolicy
  readonly doing: string
  /** By index in the array: from this time on a message is not sent. By `elapsedMs`. Default: no limit */
  readonly endsAtMs?: (index: number) => number
}

/** Sends messages, however many batches that takes; `rejected` is the error of a request that failed as a whole. */
export async function storeMessages(
  queue: OpenQueue,
  messages: readonly SqsMessage[],
  options: StoreOptions,
): Promise<{ failures: BatchFailure[]; rejected: Error | undefined }> {
  const { delaySeconds, retry, doing, endsAtMs } = options
  const failures: BatchFailure[] = []
  const batches = pack(queue, messages, delaySeconds, failures)
  const { connection, url } = queue
  let rejected: Error | undefined
  const sendOne = async (batch: Packed): Promise<void> => {
    const endOf = endsAtMs && (({ Id }: SendMessageBatchRequestEntry) => endsAtMs(batch.indices[Number(Id)] ?? -1))
    const outcome = await sendBatch(
      batch.entries,
      (Entries, deadlineMs) => {
        const command = new connection.sdk.SendMessageBatchCommand({ QueueUrl: url, Entries })
        return connection.requests.send(command, setDeadline(connection.requests, command, deadlineMs))
      },
      { retry, doing, queue: queue.address, ...(endOf && { endsAtMs: endOf }) },
    )
    rejected ??= outcome.rejected
    for (const [place, { error, fault }] of outcome.failures) {
      const index = batch.indices[Number(place)] ?? -1
      const id = messages[index]?.id ?? ''
      const refused = fault === 'message'
      failures.push({ index, error: refused ? new MessageRefusedError(error.message, { id, cause: error }) : error })
    }
  }
  // One batch but for bodies of more than 100 KiB each.
  await Promise.all(batches.map(sendOne))
  return { failures, rejected }
}

/** The longest deduplication id of SQS, in characters. Source: SendMessage. */
const maxTokenLength = 128

/** The part after the id in the token of a message that was in a queue before. */
const passageSuffix = /\.[0-9a-f]{32}$/

/**
 * The deduplication id. SQS accepts and drops a message whose token came within the last 5 minutes, even if the first
 * one is long deleted: so the id alone is the token of the first storing only.
 */
export function deduplicationId(id: string, passage: string | undefined): string {
  if (passage === undefined) return id
  const token = `${id}.${createHash('sha256').update(passage).digest('hex').slice(0, 32)}`
  return token.length <= maxTokenLength ? token : createHash('sha256').update(token).digest('hex')
}

/** The id in a token that {@link deduplicationId} made; another sender's token as it is. */
export function idOfToken(token: string): string {
  return token.replace(passageSuffix, '')
}

function checkDelay(queue: OpenQueue, delaySeconds: number): void {
  if (!Number.isInteger(delaySeconds) || delaySeconds < 0 || delaySeconds > longestDelaySeconds) {
    throw argumentError('delaySeconds', `an integer from 0 to ${longestDelaySeconds}, the limit of SQS`, delaySeconds)
  }
  if (queue.fifo && delaySeconds > 0) {
    throw new UnsupportedOperationError(
      `FIFO queues delay all messages alike: set DelaySeconds of ${queue.address.name} instead of \`delaySeconds\``,
    )
  }
}

function pack(
  queue: OpenQueue,
  messages: readonly SqsMessage[],
  delaySeconds: number,
  failures: BatchFailure[],
): Packed[] {
  const batches: Packed[] = []
  let batch: Packed | undefined
  for (const [index, { id, body, passage, group, attributes }] of messages.entries()) {
    const bytes = Buffer.byteLength(body) + (attributes === undefined ? 0 : bytesOfAttributes(attributes))
    const refusal = refusalOf(body, bytes, id)
    if (refusal !== undefined) {
      failures.push({ index, error: refusal })
      continue
    }
    if (batch === undefined || batch.entries.length === batchEntries || batch.bytes + bytes > maxBytes) {
      batch = { entries: [], indices: [], bytes: 0 }
      batches.push(batch)
    }
    batch.bytes += bytes
    batch.indices.push(index)
    const entry: SendMessageBatchRequestEntry = { Id: entryIds[batch.entries.length], MessageBody: body }
    if (attributes !== undefined) entry.MessageAttributes = attributes
    if (group !== undefined) entry.MessageGroupId = group
    if (queue.fifo) {
      // A group for each message, so that workers run side by side.
      entry.MessageGroupId ??= id
      entry.MessageDeduplicationId = deduplicationId(id, passage)
    } else if (delaySeconds > 0 || attributes !== undefined) {
      // Set explicitly: one that is stored again must not get the queue's default delay for new messages.
      entry.DelaySeconds = delaySeconds
    }
    batch.entries.push(entry)
  }
  return batches
}
