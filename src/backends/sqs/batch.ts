/**
 * The one loop for the three batch actions of SQS: entries that came back in `Failed` are sent again, the rest never
 * twice.
 */
import { elapsedMs } from '../../time/clock.js'
import { codeOf, type EntryFault, entryFault, isEntryRetryable, type QueueAddress, requestError } from './faults.js'
import { LateAttemptError } from './late-attempts.js'
import type { RetryPolicy } from './retry-policy.js'

/** The most entries of one batch request. */
export const batchEntries = 10

/** An entry's `Id` is its place in the batch. */
export const entryIds: readonly string[] = Array.from({ length: batchEntries }, (_, index) => String(index))

interface FailedEntry {
  readonly Id?: string | undefined
  readonly SenderFault?: boolean | undefined
  readonly Code?: string | undefined
  readonly Message?: string | undefined
}

/** The answer to a batch, as the SDK gives it. */
export interface BatchReply {
  readonly Successful?: readonly { readonly Id?: string | undefined }[] | undefined
  readonly Failed?: readonly FailedEntry[] | undefined
}

/** The reason of an entry that failed in the end. */
export interface EntryFailure {
  readonly error: Error
  readonly fault: EntryFault
}

/** The outcome of a batch. */
export interface BatchOutcome {
  /** By the entry's `Id`; empty if all succeeded. */
  readonly failures: ReadonlyMap<string, EntryFailure>
  /** The error of the request as a whole, where no entry went through and there was one. */
  readonly rejected?: Error
}

/**
 * Some servers accept less in a batch than SQS, e.g. 256 KiB, and report the batch as a whole: they store nothing of
 * it.
 */
const batchTooLong = 'BatchRequestTooLong'

type SendEntries<Entry> = (entries: Entry[], deadlineMs: number | undefined) => Promise<BatchReply>

const noFailures: BatchOutcome = { failures: new Map() }

const lateFailure: EntryFailure = { error: new LateAttemptError(), fault: 'lease-lost' }

/** Options of sending a batch. */
interface SendOptions<Entry> {
  readonly retry: RetryPolicy
  /** For messages, e.g. `insert`. */
  readonly doing: string
  readonly queue: QueueAddress
  /** End of an entry's lease, by `elapsedMs`: from then on it is left out of each attempt. */
  readonly endsAtMs?: (entry: Entry) => number
}

/**
 * Sends a batch. A request whose reply was lost is sent again as a whole, since it may or may not have arrived:
 * on a standard queue that is where duplicates come from.
 *
 * @param entries at most 10
 * @param send gets the time at which the first of their leases ends: no attempt may be made after that
 */
export async function sendBatch<Entry extends { Id: string | undefined }>(
  entries: Entry[],
  send: SendEntries<Entry>,
  { retry, doing, queue, endsAtMs }: SendOptions<Entry>,
): Promise<BatchOutcome> {
  const failures = new Map<string, EntryFailure>()
  let pending = entries
  for (;;) {
    const deadlineMs = endsAtMs && Math.min(...pending.map(endsAtMs))
    if (endsAtMs !== undefined && deadlineMs !== undefined && deadlineMs <= elapsedMs()) {
      const nowMs = elapsedMs()
      for (const entry of pending) if (endsAtMs(entry) <= nowMs) failures.set(entry.Id ?? '', lateFailure)
      pending = pending.filter(entry => endsAtMs(entry) > nowMs)
      if (pending.length === 0) return { failures }
      continue
    }
    let mayRetry = () => retry.pause('faulty')
    let failure: (entry: Entry) => EntryFailure
    let rejected: Error | undefined
    try {
      const reply = await send(pending, deadlineMs)
      retry.answered()
      const succeeded = reply.Successful ?? []
      if (succeeded.length === pending.length) return failures.size === 0 ? noFailures : { failures }
      const sent = new Set(succeeded.map(entry => entry.Id))
      const failed = new Map(reply.Failed?.map(entry => [entry.Id, entry]))
      failure = entry => entryFailure(failed.get(entry.Id), doing, queue)
      const unsent = pending.filter(entry => !sent.has(entry.Id))
      pending = unsent.filter(entry => isEntryRetryable(failed.get(entry.Id) ?? {}))
      for (const entry of unsent) if (!pending.includes(entry)) failures.set(entry.Id ?? '', failure(entry))
    } catch (error) {
      // Those whose leases have not ended are sent without the others.
      if (error instanceof LateAttemptError) continue
      if (codeOf(error) === batchTooLong) {
        const halves = await sendHalves(pending, send, { retry, doing, queue, ...(endsAtMs && { endsAtMs }) })
        for (const [id, half] of halves ?? tooLong(pending, requestError(error, doing, queue))) failures.set(id, half)
        return { failures }
      }
      mayRetry = () => retry.mayRetry(error)
      const asSentence = requestError(error, doing, queue)
      failure = () => ({ error: asSentence, fault: 'queue' })
      if (pending.length === entries.length) rejected = asSentence
    }
    if (pending.length === 0) return { failures }
    if (!(await mayRetry())) {
      for (const entry of pending) failures.set(entry.Id ?? '', failure(entry))
      return { failures, ...(rejected && { rejected }) }
    }
  }
}

/** `undefined`: there is only one. */
async function sendHalves<Entry extends { Id: string | undefined }>(
  entries: Entry[],
  send: SendEntries<Entry>,
  options: SendOptions<Entry>,
): Promise<Map<string, EntryFailure> | undefined> {
  if (entries.length < 2) return undefined
  const failures = new Map<string, EntryFailure>()
  const middle = entries.length >> 1
  for (const half of [entries.slice(0, middle), entries.slice(middle)]) {
    const outcome = await sendBatch(half, send, options)
    for (const [id, failure] of outcome.failures) failures.set(id, failure)
  }
  return failures
}

function tooLong<Entry extends { Id: string | undefined }>(entries: Entry[], error: Error): [string, EntryFailure][] {
  return entries.map(({ Id = '' }) => [Id, { error, fault: 'message' }])
}

function entryFailure(failed: FailedEntry | undefined, doing: string, queue: QueueAddress): EntryFailure {
  if (failed === undefined) {
    return {
      error: new Error(`SQS didn't answer for one entry of a batch to ${doing} on sqs://${queue.name}`),
      fault: 'queue',
    }
  }
  const fault = new Error(failed.Message ?? 'no reason given')
  fault.name = codeOf(failed.Code ?? 'Unknown')
  return {
    error: new Error(`SQS refused to ${doing} a message on sqs://${queue.name}: ${fault.name}: ${fault.message}`, {
      cause: fault,
    }),
    fault: entryFault(failed),
  }
}
