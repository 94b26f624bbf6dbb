/** Emptying a queue. */

import type { Lease } from '../../backend/messages.js'
import { counted } from '../../text/counted.js'
import { countMessages, emptySamples } from './counts.js'
import { addressOf, requestError } from './faults.js'
import { leaseMessages } from './lease.js'
import { deleteLeases } from './lease-changes.js'
import type { OpenQueue } from './open-queue.js'
import { RetryPolicy, sendWithRetry } from './retry-policy.js'

/** Lease of a message that is being drained: a delete follows at once. */
const drainLeaseSeconds = 60

/** Drains side by side; more would only receive empty answers. */
const drainLoops = 8

/** SQS's own purge: one request, which runs for up to 60 seconds, and removes leased and delayed messages too. */
export async function purgeNatively({ connection, url, address, retrySeconds }: OpenQueue): Promise<void> {
  const command = new connection.sdk.PurgeQueueCommand({ QueueUrl: url })
  try {
    await sendWithRetry(() => connection.requests.send(command), new RetryPolicy(connection, retrySeconds))
  } catch (error) {
    throw requestError(error, 'purge', address)
  }
}

/**
 * Leases and deletes until nothing comes any more and the counts agree.
 *
 * @throws Error where messages are left that can't be leased: others hold them, or they are delayed
 */
export async function purgeByDraining(queue: OpenQueue): Promise<void> {
  const waitSeconds = Math.min(20, Math.ceil(queue.emptyWindowSeconds / emptySamples))
  for (let quietRounds = 0; quietRounds < emptySamples; quietRounds++) {
    if ((await drain(queue, waitSeconds)) > 0) quietRounds = -1
    // A long poll asks every server of SQS: after an empty one, a single approximate zero is enough.
    else if ((await countMessages(queue)).enqueued === 0) return
  }
  const { enqueued, leased, delayed } = await countMessages(queue)
  throw new Error(
    `About ${counted(enqueued, 'message is', 'messages are')} left in ${addressOf(queue.address)} that can't be leased (${leased} leased, ` +
      `${delayed} delayed): purge again when they are ready, or with \`native\``,
  )
}

async function drain(queue: OpenQueue, waitSeconds: number): Promise<number> {
  let removed = 0
  const loop = async (firstWaitSeconds: number): Promise<void> => {
    for (let wait = firstWaitSeconds; ; wait = 0) {
      const leases = await leaseMessages(queue, { seconds: drainLeaseSeconds, max: 10, waitSeconds: wait })
      if (leases.length === 0) return
      await deleteAll(queue, leases)
      removed += leases.length
    }
  }
  const loops = Array.from({ length: Math.min(drainLoops, queue.concurrency) - 1 }, () => loop(0))
  await Promise.all([loop(waitSeconds), ...loops])
  return removed
}

async function deleteAll(queue: OpenQueue, leases: Lease[]): Promise<void> {
  const [failure] = await deleteLeases(queue, leases)
  if (failure !== undefined) throw failure.error
}
