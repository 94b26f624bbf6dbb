/** Opens two queues for a transfer from one into the other. */

import { setMaxListeners } from 'node:events'
import { checkNames, checkSignal } from '../errors/check-options.js'
import { argumentError } from '../errors/errors.js'
import { systemClock } from '../time/clock.js'
import type { QueueConnection } from './queue-connection.js'
import { isSameQueue } from './same-queue.js'
import type { TransferOptions, TransferPlan } from './transfer.js'

/**
 * Runs `transfer` with the backends of both queues.
 *
 * @throws TypeError where both are one queue, also under two names: moved into itself, it would never be empty
 */
export async function transferBetween<R>(
  from: QueueConnection,
  to: QueueConnection,
  options: TransferOptions,
  transfer: (plan: TransferPlan) => Promise<R>,
): Promise<R> {
  checkNames('options of a transfer', options, ['signal'])
  const given = checkSignal('signal', options.signal)
  if (to.url === from.url) throw argumentError('destination', 'another queue than the one itself', to.url)
  const signal = AbortSignal.any([from.backend.signal, to.backend.signal, ...(given === undefined ? [] : [given])])
  // One listener per request in flight; Node warns of a leak above 10.
  setMaxListeners(0, signal)
  return from.backend.use(source =>
    to.backend.use(async destination => {
      if (await isSameQueue(source, destination)) {
        throw argumentError('destination', `another queue than ${from.url}`, to.url)
      }
      const { concurrency, progress } = from
      return transfer({ from: source, to: destination, concurrency, progress, signal, clock: systemClock })
    }),
  )
}
