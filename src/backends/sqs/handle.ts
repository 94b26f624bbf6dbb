/** The handle of a lease, and the limits of its length. */
import { argumentError } from '../../errors/errors.js'
import type { Attributes, MessageHistory } from './message-history.js'

/** The longest visibility time-out, in seconds. Source: ChangeMessageVisibility. */
export const longestLeaseSeconds = 43_200

/** The handle of a lease. */
export interface SqsHandle {
  readonly receiptHandle: string
  /**
   * End of the lease, by `elapsedMs` (which includes the machine's sleep); `-Infinity` once it was released or deleted.
   */
  endsAtMs: number
  /** Time until which SQS renews the lease. */
  readonly lastEndMs: number
  /** The history that the message would keep if it were stored again without this lease. */
  readonly history: MessageHistory
  /** Attributes of all senders. */
  readonly attributes: Attributes | undefined
  readonly group: string | undefined
  /** It was stored again; what is left to do is to delete this one. */
  isStoredAgain: boolean
}

/** @throws TypeError for a length that SQS doesn't support */
export function checkLeaseSeconds(seconds: number): void {
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > longestLeaseSeconds) {
    throw argumentError('seconds', `an integer from 1 to ${longestLeaseSeconds} (12 hours), the limit of SQS`, seconds)
  }
}
