/** Puts dead letters back into their queue. */

import type { Backend } from '../backend/backend.js'
import { messageWriter } from '../backend/envelope.js'
import { checkNames, checkSignal } from '../errors/check-options.js'
import { argumentError, LeaseLostError, MessageRefusedError } from '../errors/errors.js'
import { nameAndMessageOf } from '../errors/thrown.js'
import { counted } from '../text/counted.js'
import { systemClock } from '../time/clock.js'
import { delaySeconds, leaseSeconds } from '../time/seconds.js'
import { requireDeadLetters } from './dead-letters.js'
import { LeaseKeeper } from './lease-keeper.js'
import { Leasing } from './leasing.js'
import { hasPackedTask } from './packed-tasks.js'
import type { QueueConnection } from './queue-connection.js'
import { type LeasedTask, lastReason, passageOf, traceparentOf } from './queued-task.js'
import { groupMatcher } from './reason-groups.js'

/** Lease length of a retry, renewed while it runs; after a crash another retry gets the letters then. */
const retryLeaseSeconds = 120

/** Number of newest failures that a retried task keeps, since it may be retried any number of times. */
const maxFailures = 20

/** Dead letters per lease request. */
const batch = 1_000

/** Lease requests in a row that bring only letters seen before, after which all count as seen. */
const mostSeenAgain = 3

/** A lease request that brings fewer than this found the queue nearly empty, where its count is only approximate. */
const few = 10

/** Delay for dead letters that don't match, where a backend limits the number of leases. */
const excessDelaySeconds = 900

/** Options of `TaskQueue.retry`. */
export interface RetryOptions {
  /** Only those whose id, payload (as JSON text) or last reason contains this, and a pack with the task of this whole id. Default: all. */
  readonly match?: string
  /** Only those whose last reason is of this group, with `…` for values that vary, as `ptq failures --group` prints it. Default: all. */
  readonly group?: string
  /** URL of the dead-letter queue. Default: the queue's own. */
  readonly deadLetter?: string
  /** Its abort ends the retry: the rest stays in the dead letters. */
  readonly signal?: AbortSignal
}

/**
 * Puts dead letters back into their queue, under their ids, with their history, which counts no attempts. They are
 * inserted first and then deleted: a crash between the two leaves them in both, and the next retry inserts the same
 * again.
 *
 * @returns how many were moved
 */
export async function retryFailures(queue: QueueConnection, options: RetryOptions): Promise<number> {
  checkNames('options of retry', options, ['match', 'group', 'deadLetter', 'signal'])
  const { match, group, deadLetter } = options
  if (match !== undefined && typeof match !== 'string') throw argumentError('match', 'a text', match)
  if (group !== undefined && typeof group !== 'string') throw argumentError('group', 'a text', group)
  const isWanted = letterFilter(match, group)
  const given = checkSignal('signal', options.signal)
  const closing = queue.backend.signal
  const signal = given === undefined ? closing : AbortSignal.any([closing, given])
  signal.throwIfAborted()
  return queue.backend.use(async backend => {
    const letters = requireDeadLetters(queue, backend, deadLetter)
    try {
      const dead = await letters.open()
      if ((await dead.exists?.()) === false) return 0
      const retry = new Retry(backend, dead, queue.concurrency)
      return await retry.run(isWanted, signal).finally(() => retry.end())
    } finally {
      await letters.close()
    }
  })
}

class Retry {
  readonly #queue: Backend
  readonly #dead: Backend
  readonly #leasing: Leasing
  readonly #seconds: number
  readonly #keeper: LeaseKeeper<LeasedTask>
  /** Ids seen in this retry: a task that fails again during it is not moved twice. */
  readonly #seen = new Set<string>()
  /** Dead letters that stay, leased as far as the backend allows, so that the next request doesn't get them again. */
  readonly #kept = new Set<LeasedTask>()
  readonly #maxHeld: number
  #hasReleased = false
  #refusal: Error | undefined

  constructor(queue: Backend, dead: Backend, concurrency: number) {
    this.#queue = queue
    this.#dead = dead
    this.#leasing = new Leasing(concurrency)
    // A part of what the backend allows: others lease too.
    this.#maxHeld = Math.max(1, Math.floor((dead.capabilities.maxLeased ?? Number.POSITIVE_INFINITY) / 10))
    this.#seconds = leaseSeconds('seconds', retryLeaseSeconds, dead.capabilities, dead.label)
    this.#keeper = new LeaseKeeper<LeasedTask>({
      leaseSeconds: this.#seconds,
      renew: async (tasks, seconds) => lostAmong(await this.#leasing.renew(dead, tasks, seconds)),
      onLost: task => this.#kept.delete(task),
      onFault: error => process.emitWarning(`Leases of ${dead.label} could not be renewed: ${nameAndMessageOf(error)}`),
      clock: systemClock,
    })
  }

  /** @throws the error of the first letter that the queue refused; the others are moved */
  async run(isWanted: (letter: LeasedTask) => boolean, signal: AbortSignal): Promise<number> {
    let moved = 0
    const atStart = await this.#countAtStart()
    for (let seenAgain = 0; seenAgain < mostSeenAgain; ) {
      const letters = await this.#leasing.lease(this.#dead, {
        seconds: this.#seconds,
        max: Math.min(batch, this.#maxHeld),
        // A backend whose counts are approximate (SQS) may find nothing where dead letters are; a request that waits asks all its servers.
        waitSeconds: this.#dead.capabilities.exactCounts ? 0 : 1,
        signal,
      })
      if (letters.length === 0) break
      for (const letter of letters) {
        this.#kept.add(letter)
        this.#keeper.keep(letter)
      }
      const unseen = letters.filter(letter => !this.#seen.has(letter.id))
      // Only delayed letters come back, or those of which the lease was lost.
      if (unseen.length === 0 && this.#hasReleased) break
      seenAgain = unseen.length === 0 ? seenAgain + 1 : 0
      for (const { id } of unseen) this.#seen.add(id)
      moved += await this.#move(unseen.filter(isWanted))
      await this.#releaseExcess()
      // Others came during the retry. A stream of those must not keep it going.
      if (this.#seen.size >= atStart && (this.#dead.capabilities.exactCounts || letters.length < few)) break
    }
    signal.throwIfAborted()
    const cause = this.#refusal
    if (cause === undefined) return moved
    const { label } = this.#queue
    const putBack = counted(moved, 'dead letter was', 'dead letters were')
    throw new Error(`${putBack} put back into ${label}, others were refused: ${cause.message}`, { cause })
  }

  /** The number of dead letters; 0 if the queue doesn't know it. */
  async #countAtStart(): Promise<number> {
    try {
      return (await this.#dead.counts()).enqueued
    } catch (error) {
      // Counting may need a permission that putting back doesn't.
      if (this.#dead.capabilities.exactCounts) throw error
      return 0
    }
  }

  /** Releases the letters that were not moved. */
  async end(): Promise<void> {
    this.#keeper.close()
    this.#note(await this.#leasing.release(this.#dead, [...this.#kept], { delaySeconds: 0 }))
  }

  /**
   * If a backend limits the number of leases, releases the oldest with a delay longer than a scan of all dead letters takes.
   */
  async #releaseExcess(): Promise<void> {
    const excess = [...this.#kept].slice(0, Math.max(0, this.#kept.size - this.#maxHeld))
    if (excess.length === 0) return
    this.#hasReleased = true
    for (const letter of excess) {
      this.#kept.delete(letter)
      this.#keeper.drop(letter)
    }
    const { capabilities, label } = this.#dead
    const wantedSeconds = Math.min(excessDelaySeconds, capabilities.maxDelaySeconds)
    const options = { delaySeconds: delaySeconds('delaySeconds', wantedSeconds, capabilities, label) }
    this.#note(await this.#leasing.release(this.#dead, excess, options))
  }

  async #move(letters: readonly LeasedTask[]): Promise<number> {
    const stored: LeasedTask[] = []
    try {
      await this.#store(letters, stored)
    } finally {
      // Also if the queue fails halfway: stored tasks are no longer dead letters.
      await this.#remove(stored)
    }
    return stored.reduce((tasks, { count }) => tasks + count, 0)
  }

  /** Fills `stored` with those that the queue took. */
  async #store(letters: readonly LeasedTask[], stored: LeasedTask[]): Promise<void> {
    const { queueName, capabilities } = this.#queue
    const write = messageWriter(queueName, { ascii: capabilities.asciiBodies ?? false })
    const size = capabilities.insertBatch
    for (let start = 0; start < letters.length; start += size) {
      const slice = letters.slice(start, start + size)
      const refused = await this.#insert(slice, stored, letter =>
        write(letter.payloadText, letter.id, {
          failures: letter.failures.length === 0 ? undefined : letter.failures.slice(-maxFailures),
          traceparent: traceparentOf(letter),
        }),
      )
      // The history may be what makes them too large.
      await this.#insert(refused, stored, ({ payloadText, id }) => write(payloadText, id), { isLastTry: true })
    }
  }

  /** @returns those that the queue refused for themselves, unless it is the last try */
  async #insert(
    letters: readonly LeasedTask[],
    stored: LeasedTask[],
    bodyOf: (letter: LeasedTask) => string,
    { isLastTry = false } = {},
  ): Promise<LeasedTask[]> {
    if (letters.length === 0) return []
    const messages = letters.map(letter => ({ id: letter.id, body: bodyOf(letter), passage: passageOf(letter) }))
    const failures = await this.#queue.insert(messages, { delaySeconds: 0 })
    const failed = new Map(failures.map(({ index, error }) => [index, error]))
    stored.push(...letters.filter((_, index) => !failed.has(index)))
    const isRefused = (error: Error | undefined) => error instanceof MessageRefusedError
    this.#note(isLastTry ? failed : new Map([...failed].filter(([, error]) => !isRefused(error))))
    return isLastTry ? [] : letters.filter((_, index) => isRefused(failed.get(index)))
  }

  async #remove(stored: readonly LeasedTask[]): Promise<void> {
    for (const letter of stored) this.#keeper.drop(letter)
    const failed = await this.#leasing.delete(this.#dead, stored, { tally: false })
    for (const letter of stored) {
      const error = failed.get(letter)
      if (error === undefined || error instanceof LeaseLostError) this.#kept.delete(letter)
    }
    this.#note(failed)
  }

  /**
   * Handles failures. A letter with a lost lease belongs to another process; a refused one stays a dead letter.
   * @throws any other error
   */
  #note(failed: ReadonlyMap<unknown, Error>): void {
    for (const error of failed.values()) {
      if (error instanceof MessageRefusedError) this.#refusal ??= error
      else if (!(error instanceof LeaseLostError)) throw error
    }
  }
}

function letterFilter(match: string | undefined, group: string | undefined): (letter: LeasedTask) => boolean {
  const isOfGroup = group === undefined ? undefined : groupMatcher(group)
  return letter => {
    const reason = lastReason(letter)
    const isMatch =
      match === undefined ||
      [letter.id, letter.payloadText, reason].some(text => text.includes(match)) ||
      hasPackedTask(letter, match)
    return isMatch && (isOfGroup?.(reason) ?? true)
  }
}

function lostAmong(failed: ReadonlyMap<LeasedTask, Error>): ReadonlyMap<LeasedTask, Error> {
  return new Map([...failed].filter(([, error]) => error instanceof LeaseLostError))
}
