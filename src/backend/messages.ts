/** Messages as a backend stores, leases and lists them. Types only. */

/** A message as it is stored. */
export interface Message {
  /**
   * A UUID in lower case, fixed before the first try: a message that is inserted again is the same message. A lease and
   * a listing return the id of the insert; without one (Python on SQS), the backend's own id.
   */
  readonly id: string
  /** The envelope, as text. Stored and given back byte for byte. */
  readonly body: string
  /**
   * Identifies this storing of a message that was in a queue before: a repeated request has the same value, another
   * storing a different one. A backend that drops repeated requests (SQS FIFO, for 5 minutes) must distinguish the two.
   * Absent if the message is new: then a repeated `id` is a repeated request.
   */
  readonly passage?: string
}

/**
 * A message held by us. A lease that expired while no other holder took the message may be reported lost, or may still
 * be renewed, released and deleted: both are safe. Once another holder took it, every verb on it fails with
 * `LeaseLostError`.
 */
export interface Lease extends Message {
  /** The number of attempts of this message, this one included: 1 the first time. */
  readonly attempt: number
  /**
   * The number of earlier attempts that ended without a result, because the holder died or its lease expired. The other
   * ones recorded a failure. Default 0: all of them did.
   */
  readonly deaths?: number
  /**
   * The number of `deaths` while the message ran alone: see `runsAlone` and `alone`. For backends that record neither,
   * the default is those after the third, since workers run a message alone from then on.
   */
  readonly deathsAlone?: number
  /**
   * It was released with `alone`, so a death of its holder counts as one while it ran alone: it is run only by a holder
   * that holds nothing else, or released at once. Default false.
   */
  readonly alone?: boolean
  /** Its recorded failures, oldest first, if `capabilities.historyInLeases`. */
  readonly failures?: readonly Failure[]
  /**
   * Identifies this storing of the message in the backend, so that a process that stores it elsewhere after a crash can
   * use the same `passage`. Absent if the backend has no such name.
   */
  readonly incarnation?: string
  /** Identifies the message to the backend (a file's name, a receipt handle); changed by a renewal. */
  handle: unknown
}

/** One entry of a batch that failed; the others of the batch succeeded. */
export interface BatchFailure {
  /** The place in the array that was passed. */
  readonly index: number
  /**
   * `LeaseLostError` if the lease ended; `MessageRefusedError` if the queue works and refuses only this message (e.g.
   * too large); anything else is a fault of the queue.
   */
  readonly error: Error
}

/** The reason of a failed attempt; kept with the message if `capabilities.history`. */
export interface Failure {
  readonly attempt: number
  /** One line: the error's name and message, or what ended the thread. */
  readonly reason: string
  readonly host: string
  readonly pid: number
  /** Milliseconds since 1970 by the host's clock. */
  readonly failedAtMs: number
  readonly durationSeconds: number
  /** The error's stack, of the failure that made the task a dead letter. */
  readonly stack?: string
}

/** Free to be leased, under a lease, or not to be leased yet. */
export type MessageState = 'ready' | 'leased' | 'delayed'

/** A listed message; listing leases nothing. */
export interface ListedMessage extends Message {
  readonly state: MessageState
  /** Seconds until it may be leased, by the queue's clock: until its lease ends, or its delay. Left out where it is ready. */
  readonly availableInSeconds?: number
}
