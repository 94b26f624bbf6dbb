/** Messages as a backend stores, leases and lists them. Types only. */

/** A message as it is stored. */
export interface Message {
  /**
   * A UUID in lower case, fixed before the first try: a message that is inserted again is the same message. A lease and
   * a listing give back the id of the insert; where a foreign writer gave none (Python on SQS), the backend's own id.
   */
  readonly id: string
  /** The envelope, as text. Stored and given back byte for byte. */
  readonly body: string
  /**
   * Names this storing of a message that was in a queue before: a repeated request has the same name, another storing
   * another one. An engine that drops repeated requests (SQS FIFO, for 5 minutes) must tell the two apart. Absent where
   * the message is new: then a repeated `id` is a repeated request.
   */
  readonly passage?: string
}

/**
 * A message that we hold. A lease that ran out while no other holder took the message may be told lost, or still be renewed,
 * released and deleted: both are safe. Once another holder took it, every verb on it fails with `LeaseLostError`.
 */
export interface Lease extends Message {
  /** The number of attempts of this message, this one included: 1 the first time. */
  readonly attempt: number
  /**
   * The number of earlier attempts that ended without a result, because the holder died or its lease ran out.
   * The other ones failed and said so. Default 0: all of them did.
   */
  readonly deaths?: number
  /**
   * The number of `deaths` that happened while the message ran alone: see `runsAlone` and `alone`. For backends that know
   * neither, the default is those after the third, since workers run a message alone from then on.
   */
  readonly deathsAlone?: number
  /**
   * It was released with `alone`, so a death of its holder counts as one while it ran alone: it is run only by a holder
   * that holds nothing else, or released at once. Default false.
   */
  readonly alone?: boolean
  /** Its recorded failures, oldest first, where `capabilities.historyInLeases` says so. */
  readonly failures?: readonly Failure[]
  /**
   * Names this storing of the message in the engine, so that a process that stores it elsewhere after a crash can name the same
   * `passage`. Absent where the engine has no such name.
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
   * `LeaseLostError` where the lease ended; `MessageRefusedError` where the queue works and refuses this one message
   * (too large, or in another way one that it can't hold); anything else is a fault of the queue.
   */
  readonly error: Error
}

/** Why an attempt failed; kept with the message where `capabilities.history` says so. */
export interface Failure {
  readonly attempt: number
  /** One line: the error's name and message, or what ended the thread. */
  readonly reason: string
  readonly host: string
  readonly pid: number
  /** Milliseconds since 1970 by the host's clock. */
  readonly failedAtMs: number
  readonly durationSeconds: number
}

/** Free to be leased, under a lease, or not to be leased yet. */
export type MessageState = 'ready' | 'leased' | 'delayed'

/** A message as a listing shows it; nothing is leased by looking. */
export interface ListedMessage extends Message {
  readonly state: MessageState
  /** Seconds until it may be leased, by the queue's clock: until its lease ends, or its delay. Left out where it is ready. */
  readonly availableInSeconds?: number
}
