/** Moves the ready messages of a queue into another one. */

import { randomUUID } from 'node:crypto'
import type { Backend } from '../backend/backend.js'
import type { Lease, Message } from '../backend/messages.js'
import { tasksIn } from '../backend/pack-ids.js'
import { LeaseLostError } from '../errors/errors.js'
import { messageOf, nameAndMessageOf } from '../errors/thrown.js'
import { counted } from '../text/counted.js'
import { leaseSeconds } from '../time/seconds.js'
import { LeaseKeeper } from './lease-keeper.js'
import { fitted, TransferInserter, type TransferPlan } from './transfer.js'

/** The result of a move. */
export interface MoveResult {
  /** Tasks that are in the other queue now, and no longer in this one. */
  readonly moved: number
  /**
   * Tasks that may be in both queues: the lease of their message was lost, or it could not be removed, after it had been inserted
   * there. Always 0 between file queues.
   */
  readonly uncertain: number
}

/** Lease length of a move, renewed while it runs; after a crash the messages are ready in the old queue then. */
const moveLeaseSeconds = 60

/** A backend with approximate counts (SQS) may find nothing where messages are; a request that waits asks all its servers. Seconds. */
const waitSeconds = 1

/**
 * Moves messages that are ready until none is left; leased and delayed ones stay. Between file queues this is exact.
 * Otherwise a message is inserted there and then deleted here, under its lease: a crash between the two leaves it in both,
 * and another move inserts it again, which a file queue recognises as long as it was not leased, and SQS doesn't.
 *
 * @throws the first error of a message that could not be stored; the others are moved nevertheless
 */
export async function moveMessages(plan: TransferPlan): Promise<MoveResult> {
  const { from, to, signal } = plan
  const exact = from.moveTo?.(to, { signal })
  const total = (await from.counts()).enqueued
  const inserter = new TransferInserter(plan, 'Moving', total)
  try {
    if (exact !== undefined) {
      for await (const moved of exact) await inserter.count(moved)
      return { moved: inserter.stored, uncertain: 0 }
    }
    return await new Mover(plan, inserter).run()
  } finally {
    await inserter.end()
  }
}

/** The message for the other queue, with the passage of its lease. */
function messageFor(lease: Lease, to: Backend): Message {
  return { ...fitted(lease, to), passage: lease.incarnation ?? randomUUID() }
}

/** Leases here, inserts there, deletes here: in concurrent loops, each with one batch. */
class Mover {
  readonly #plan: TransferPlan
  readonly #inserter: TransferInserter
  readonly #seconds: number
  readonly #keeper: LeaseKeeper<Lease>
  /** Messages that the other queue refused: held until the end, so that they are not leased again during the move. */
  readonly #refused: Lease[] = []
  readonly #loops = new Set<Promise<void>>()
  #refusal: Error | undefined
  /** Errors that end the move. */
  readonly #faults: unknown[] = []
  #moved = 0
  #uncertain = 0

  constructor(plan: TransferPlan, filling: TransferInserter) {
    const { from } = plan
    this.#plan = plan
    this.#inserter = filling
    this.#seconds = leaseSeconds('seconds', moveLeaseSeconds, from.capabilities, from.label)
    this.#keeper = new LeaseKeeper<Lease>({
      leaseSeconds: this.#seconds,
      renew: async (leases, seconds) => this.#renew(leases, seconds),
      // The deletion reports it too.
      onLost: () => undefined,
      onFault: error => process.emitWarning(`Leases of ${from.label} could not be renewed: ${nameAndMessageOf(error)}`),
      clock: plan.clock,
    })
  }

  async run(): Promise<MoveResult> {
    try {
      this.#addLoop()
      while (this.#loops.size > 0) await Promise.race(this.#loops)
    } finally {
      this.#keeper.close()
      await this.#release(this.#refused)
    }
    const [cause = this.#refusal] = this.#faults
    if (cause === undefined) return { moved: this.#moved, uncertain: this.#uncertain }
    const { from, to } = this.#plan
    const reason = messageOf(cause)
    throw new Error(
      `${counted(this.#moved, 'task was', 'tasks were')} moved from ${from.label} to ${to.label}, ${tasksIn(this.#refused)} refused there, ` +
        `${this.#uncertain} may be in both: ${reason}`,
      { cause },
    )
  }

  #addLoop(): void {
    const loop = this.#loop().finally(() => this.#loops.delete(loop))
    this.#loops.add(loop)
  }

  /** Never rejects. */
  async #loop(): Promise<void> {
    const { from, to, signal } = this.#plan
    const max = Math.min(from.capabilities.leaseBatch, to.capabilities.insertBatch)
    const wait = from.capabilities.exactCounts ? 0 : waitSeconds
    try {
      while (!signal.aborted && this.#faults.length === 0) {
        const leases = await from.lease({ seconds: this.#seconds, max, waitSeconds: wait, signal })
        if (leases.length === 0) return
        // One more loop per batch that was found: an empty queue is asked once.
        if (this.#loops.size < this.#plan.concurrency) this.#addLoop()
        await this.#moveBatch(leases)
      }
    } catch (error) {
      this.#faults.push(error)
    }
  }

  async #moveBatch(leases: readonly Lease[]): Promise<void> {
    const { from, to } = this.#plan
    for (const lease of leases) this.#keeper.keep(lease)
    let stored: Lease[] = []
    try {
      const { failed, error } = await this.#inserter.insert(leases.map(lease => messageFor(lease, to)))
      stored = leases.filter((_, index) => !failed.has(index))
      if (error !== undefined) {
        this.#refusal ??= error
        this.#refused.push(...leases.filter((_, index) => failed.has(index)))
      }
    } catch (error) {
      await this.#release(leases)
      throw error
    }
    for (const lease of stored) this.#keeper.drop(lease)
    const kept = await from.delete(stored, { tally: false })
    const uncertain = tasksIn(kept.flatMap(({ index }) => stored[index] ?? []))
    this.#moved += tasksIn(stored) - uncertain
    this.#uncertain += uncertain
    const fault = kept.find(({ error }) => !(error instanceof LeaseLostError))
    if (fault !== undefined) throw fault.error
  }

  async #renew(leases: readonly Lease[], seconds: number): Promise<ReadonlyMap<Lease, Error>> {
    const { from } = this.#plan
    const size = from.capabilities.leaseBatch
    const lost = new Map<Lease, Error>()
    for (let start = 0; start < leases.length; start += size) {
      const batch = leases.slice(start, start + size)
      for (const { index, error } of await from.renew(batch, seconds)) {
        const lease = batch[index]
        if (lease !== undefined && error instanceof LeaseLostError) lost.set(lease, error)
      }
    }
    return lost
  }

  /** Releases leases; those that fail end by themselves. */
  async #release(leases: readonly Lease[]): Promise<void> {
    const { from } = this.#plan
    const size = from.capabilities.leaseBatch
    for (const lease of leases) this.#keeper.drop(lease)
    for (let start = 0; start < leases.length; start += size) {
      await from.release(leases.slice(start, start + size), { delaySeconds: 0 })
    }
  }
}
