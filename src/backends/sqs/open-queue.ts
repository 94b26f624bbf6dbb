/** Finds the queue, or makes it where that is wanted. */

import { type Connection, connect } from './connection.js'
import { codeOf, type QueueAddress, requestError } from './faults.js'
import type { CheckedOptions } from './options.js'
import type { QueuePlace } from './queue-place.js'
import { RetryPolicy, sendWithRetry } from './retry-policy.js'

/** A queue that requests can be sent to. */
export interface OpenQueue {
  readonly connection: Connection
  /** As SQS calls it. */
  readonly url: string
  readonly address: QueueAddress
  readonly fifo: boolean
  /** Maximum number of requests in flight. */
  readonly concurrency: number
  /** Time for which a request is tried again after the SDK has given up. */
  readonly retrySeconds: number
  /** Over how long zeros must last, see {@link SqsOptions}. */
  readonly emptyWindowSeconds: number
  readonly state: {
    /** SQS refused to store a message again: the credentials lack that right. */
    mayNotStore: boolean
    /** See `maxReceives`. */
    maxReceives?: Promise<number>
  }
}

/**
 * Opens a queue. A name costs one request; a URL of AWS costs none, as senders often lack the permission to ask for a
 * queue's URL: then the first request of another kind finds out if the queue exists.
 *
 * @throws Error in one sentence: no such queue, no credentials, no answer, not SQS
 */
export async function openQueue(place: QueuePlace, options: CheckedOptions): Promise<OpenQueue> {
  const connection = await connect(place, options)
  const address: QueueAddress = { name: place.name, region: connection.region, endpoint: connection.endpoint }
  try {
    const url = await findQueue(connection, place, options)
    const { concurrency, retrySeconds, emptyWindowSeconds } = options
    const state: OpenQueue['state'] = { mayNotStore: false }
    return { connection, url, address, fifo: place.fifo, concurrency, retrySeconds, emptyWindowSeconds, state }
  } catch (error) {
    connection.close()
    throw requestError(error, 'open', address)
  }
}

async function findQueue(connection: Connection, place: QueuePlace, options: CheckedOptions): Promise<string> {
  if (place.url !== undefined && !options.createIfMissing) return place.url
  const { sdk, requests } = connection
  const owner = place.account && { QueueOwnerAWSAccountId: place.account }
  const retry = new RetryPolicy(connection, options.retrySeconds)
  try {
    const command = new sdk.GetQueueUrlCommand({ QueueName: place.name, ...owner })
    const { QueueUrl } = await sendWithRetry(() => requests.send(command), retry)
    if (QueueUrl === undefined) throw new SyntaxError('The answer has no QueueUrl')
    return QueueUrl
  } catch (error) {
    if (codeOf(error) !== 'QueueDoesNotExist' || !options.createIfMissing) throw error
  }
  const command = new sdk.CreateQueueCommand({
    QueueName: place.name,
    // Without them a FIFO queue takes 300 requests a second; with them thousands, as each message is a group of its
    // own.
    ...(place.fifo && {
      Attributes: { FifoQueue: 'true', DeduplicationScope: 'messageGroup', FifoThroughputLimit: 'perMessageGroupId' },
    }),
  })
  const { QueueUrl } = await sendWithRetry(() => requests.send(command), retry)
  if (QueueUrl === undefined) throw new SyntaxError('The answer has no QueueUrl')
  return QueueUrl
}
