/** Reads the approximate counts of SQS. */
import type { Counts } from '../../backend/backend.js'
import { requestError } from './faults.js'
import type { OpenQueue } from './open-queue.js'
import { RetryPolicy, sendWithRetry } from './retry-policy.js'

/** The number of zeros in a row that make a queue empty, spread over `emptyWindowSeconds`. */
export const emptySamples = 5

/**
 * Requests the queue's attributes. SQS keeps no count of inserts and completions, nor of quarantined messages. A
 * message that was released with a delay counts as leased, since neither SQS nor we can distinguish them.
 */
export async function countMessages({ connection, url, address, retrySeconds }: OpenQueue): Promise<Counts> {
  const command = new connection.sdk.GetQueueAttributesCommand({
    QueueUrl: url,
    AttributeNames: [
      'ApproximateNumberOfMessages',
      'ApproximateNumberOfMessagesNotVisible',
      'ApproximateNumberOfMessagesDelayed',
    ],
  })
  try {
    const { Attributes } = await sendWithRetry(
      () => connection.requests.send(command),
      new RetryPolicy(connection, retrySeconds),
    )
    const visible = Number(Attributes?.ApproximateNumberOfMessages)
    const leased = Number(Attributes?.ApproximateNumberOfMessagesNotVisible)
    const delayed = Number(Attributes?.ApproximateNumberOfMessagesDelayed)
    // Not an unknown count, but a response that isn't from SQS.
    if (Number.isNaN(visible + leased + delayed)) throw new SyntaxError('The answer lacks the counts')
    const unknown = Number.NaN
    return {
      enqueued: visible + leased + delayed,
      leased,
      delayed,
      inserted: unknown,
      completed: unknown,
      quarantined: unknown,
    }
  } catch (error) {
    throw requestError(error, 'count', address)
  }
}
