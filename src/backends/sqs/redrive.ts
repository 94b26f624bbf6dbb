/** Reads the queue's own redrive policy: after a number of receives SQS moves a message to another queue. */
import { isForbidden } from './faults.js'
import type { OpenQueue } from './open-queue.js'

/**
 * The number of receives that the policy allows; `Infinity` without a policy, or without the permission to ask.
 * Requested once per process, by the first failure.
 */
export function maxReceives(queue: OpenQueue): Promise<number> {
  queue.state.maxReceives ??= askMaxReceives(queue)
  return queue.state.maxReceives
}

async function askMaxReceives(queue: OpenQueue): Promise<number> {
  const { connection, url } = queue
  const command = new connection.sdk.GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['RedrivePolicy'] })
  try {
    const { Attributes } = await connection.requests.send(command)
    const policy: unknown = JSON.parse(Attributes?.RedrivePolicy ?? 'null')
    if (typeof policy !== 'object' || policy === null || !('maxReceiveCount' in policy)) return Number.POSITIVE_INFINITY
    const count = Number(policy.maxReceiveCount)
    return count >= 1 ? count : Number.POSITIVE_INFINITY
  } catch (error) {
    // This must not fail the release of the task: it is stored again, as without a policy, and the next failure asks
    // again.
    if (!isForbidden(error)) delete queue.state.maxReceives
    return Number.POSITIVE_INFINITY
  }
}
