/**
 * Messages from queue to queue, byte for byte: nothing is decoded, so tasks keep every digit, also where their code is
 * unknown and where they are no tasks at all. A message keeps its id. Two things are written otherwise, both the same
 * JSON: characters that the other engine may refuse, as escapes; and an envelope without an id (Python's on SQS) gets
 * the one that the message is known by, without which a Python worker can't finish it on a file queue.
 */
import { createHash } from 'node:crypto'
import type { Backend, Lease, Message } from '../backend.js'
import { LeaseLostError } from '../errors.js'
import { LeaseKeeper } from '../poll/lease-keeper.js'
import { startProgress } from '../progress/progress.js'
import type { Clock } from '../time/clock.js'
import { leaseSeconds } from '../time/seconds.js'
import { requireListing } from './listing.js'
import { asciiJson, withMessageId } from './message.js'

/** Options of `copyTo` and `moveTo`. */
export interface TransferOptions {
  /** Its abort ends the transfer after what is under way: the result tells how far it came. */
  readonly signal?: AbortSignal
}

/** How a move ended. */
export interface MoveResult {
  /** Messages that are in the other queue now, and no longer in this one. */
  readonly moved: number
  /**
   * Messages that may be in both queues: their lease was lost, or they could not be removed, after they had been inserted
   * there. Always 0 between file queues.
   */
  readonly uncertain: number
}

/** What a transfer works with. */
export interface TransferPlan {
  readonly from: Backend
  readonly to: Backend
  /** How many batches may be under way at once. */
  readonly concurrency: number
  /** Show a bar. */
  readonly progress: boolean
  readonly signal: AbortSignal
  readonly clock: Clock
}

/** Who dies while moving leaves what it held in the old queue after this time; renewed meanwhile. Seconds. */
const heldSeconds = 60

/** An engine that is not exact may say "empty" too early; one that waits asks all of its servers. Seconds. */
const waitSeconds = 1

/** So many are counted as inserted at once: less than that goes uncounted by who dies. */
const countEvery = 1000

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * Copies all messages, leased and delayed ones too: all are ready in the copy. Those that are in the other queue already
 * are passed over, so a copy that was interrupted is finished by another one.
 *
 * @returns how many were copied
 */
export async function copyMessages(plan: TransferPlan): Promise<number> {
  const { from, to, signal } = plan
  requireListing(from)
  const known = await idsIn(to)
  const filling = new Filling(plan, 'Copying', (await from.counts()).enqueued - known.size)
  const lanes = new Set<Promise<void>>()
  const failures: unknown[] = []
  let batch: Message[] = []
  const send = async () => {
    const messages = batch
    batch = []
    const lane = filling
      .insert(messages)
      .then(({ error }) => {
        if (error !== undefined) failures.push(error)
      })
      .catch((error: unknown) => failures.push(error))
      .then(() => {
        lanes.delete(lane)
      })
    lanes.add(lane)
    while (lanes.size >= plan.concurrency) await Promise.race(lanes)
  }
  try {
    for await (const message of from.list({ wanted: id => !known.has(idOf(id)) })) {
      if (signal.aborted || failures.length > 0) break
      if (known.has(idOf(message.id))) continue
      batch.push(fitted(message, to))
      if (batch.length >= to.capabilities.insertBatch) await send()
    }
    if (batch.length > 0 && failures.length === 0) await send()
  } finally {
    await Promise.all(lanes)
    await filling.end()
  }
  if (failures.length > 0) throw failures[0]
  return filling.stored
}

/**
 * Moves messages that are ready until none is left; leased and delayed ones stay. Between file queues this is exact.
 * Otherwise a message is inserted there and then deleted here, under its lease: who dies between the two leaves it in
 * both, and another move inserts it again, which a file queue recognises as long as nobody has leased it, and SQS doesn't.
 *
 * @throws the first error of a message that could not be stored; the others are moved all the same
 */
export async function moveMessages(plan: TransferPlan): Promise<MoveResult> {
  const { from, to, signal } = plan
  const exact = from.moveTo?.(to, { signal })
  const total = (await from.counts()).enqueued
  const filling = new Filling(plan, 'Moving', total)
  try {
    if (exact !== undefined) {
      for await (const moved of exact) await filling.count(moved)
      return { moved: filling.stored, uncertain: 0 }
    }
    return await new Moving(plan, filling).run()
  } finally {
    await filling.end()
  }
}

async function idsIn(to: Backend): Promise<Set<string>> {
  const ids = new Set<string>()
  if (to.list === undefined || (await to.exists?.()) === false) return ids
  const wanted = (id: string) => {
    ids.add(id)
    return false
  }
  for await (const { id } of to.list({ wanted })) ids.add(id)
  return ids
}

function fitted({ id, body }: Message, to: Backend): Message {
  const known = idOf(id)
  const whole = withMessageId(body, known)
  return { id: known, body: to.capabilities.asciiBodies ? asciiJson(whole) : whole }
}

/** A message's id is a UUID; an engine whose own ids are none (SQS FIFO: any text) gets the same one each time. */
function idOf(id: string): string {
  if (uuid.test(id)) return id
  const hex = createHash('sha256').update(id).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  )
}

/** Puts messages into the other queue, counts them there, and shows how far it is. */
class Filling {
  readonly #to: Backend
  readonly #progress: ReturnType<typeof startProgress>
  #uncounted = 0
  #stored = 0

  constructor({ to, progress }: TransferPlan, label: string, total: number) {
    this.#to = to
    this.#progress = startProgress({ label, total: Number.isNaN(total) ? undefined : total, enabled: progress })
  }

  /** How many are in the other queue. */
  get stored(): number {
    return this.#stored
  }

  /** @returns which entries failed, and the first of their errors */
  async insert(messages: readonly Message[]): Promise<{ failed: ReadonlySet<number>; error: Error | undefined }> {
    const failures = await this.#to.insert(messages, { delaySeconds: 0 })
    await this.count(messages.length - failures.length)
    return { failed: new Set(failures.map(({ index }) => index)), error: failures[0]?.error }
  }

  async count(stored: number): Promise<void> {
    this.#stored += stored
    this.#uncounted += stored
    this.#progress.add(stored)
    if (this.#uncounted >= countEvery) await this.#flush()
  }

  async end(): Promise<void> {
    this.#progress.stop()
    await this.#flush()
  }

  async #flush(): Promise<void> {
    const count = this.#uncounted
    this.#uncounted = 0
    if (count > 0) await this.#to.addInserted?.(count)
  }
}

/** Lease here, insert there, delete here: in lanes, each with one batch. */
class Moving {
  readonly #plan: TransferPlan
  readonly #filling: Filling
  readonly #seconds: number
  readonly #keeper: LeaseKeeper<Lease>
  /** Those that the other queue refused: held until the end, so that nobody is given them again meanwhile. */
  readonly #refused: Lease[] = []
  readonly #lanes = new Set<Promise<void>>()
  #refusal: Error | undefined
  /** What ends the move. */
  readonly #faults: unknown[] = []
  #moved = 0
  #uncertain = 0

  constructor(plan: TransferPlan, filling: Filling) {
    const { from } = plan
    this.#plan = plan
    this.#filling = filling
    this.#seconds = leaseSeconds('seconds', heldSeconds, from.capabilities, from.label)
    this.#keeper = new LeaseKeeper<Lease>({
      leaseSeconds: this.#seconds,
      renew: async (leases, seconds) => this.#renew(leases, seconds),
      // Its deletion will say so too.
      onLost: () => undefined,
      onFault: error => process.emitWarning(`Leases of ${from.label} could not be renewed: ${error}`),
      clock: plan.clock,
    })
  }

  async run(): Promise<MoveResult> {
    try {
      this.#addLane()
      while (this.#lanes.size > 0) await Promise.race(this.#lanes)
    } finally {
      this.#keeper.close()
      await this.#giveBack(this.#refused)
    }
    const [cause = this.#refusal] = this.#faults
    if (cause === undefined) return { moved: this.#moved, uncertain: this.#uncertain }
    const { from, to } = this.#plan
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(
      `${this.#moved} messages were moved from ${from.label} to ${to.label}, ${this.#refused.length} refused there, ` +
        `${this.#uncertain} may be in both: ${reason}`,
      { cause },
    )
  }

  #addLane(): void {
    const lane = this.#lane().finally(() => this.#lanes.delete(lane))
    this.#lanes.add(lane)
  }

  /** Never rejects. */
  async #lane(): Promise<void> {
    const { from, to, signal } = this.#plan
    const max = Math.min(from.capabilities.leaseBatch, to.capabilities.insertBatch)
    const wait = from.capabilities.exactCounts ? 0 : waitSeconds
    try {
      while (!signal.aborted && this.#faults.length === 0) {
        const leases = await from.lease({ seconds: this.#seconds, max, waitSeconds: wait, signal })
        if (leases.length === 0) return
        // Another for each batch that was found: an empty queue is asked once.
        if (this.#lanes.size < this.#plan.concurrency) this.#addLane()
        await this.#carry(leases)
      }
    } catch (error) {
      this.#faults.push(error)
    }
  }

  async #carry(leases: readonly Lease[]): Promise<void> {
    const { from, to } = this.#plan
    for (const lease of leases) this.#keeper.keep(lease)
    let stored: Lease[] = []
    try {
      const { failed, error } = await this.#filling.insert(leases.map(lease => fitted(lease, to)))
      stored = leases.filter((_, index) => !failed.has(index))
      if (error !== undefined) {
        this.#refusal ??= error
        this.#refused.push(...leases.filter((_, index) => failed.has(index)))
      }
    } catch (error) {
      await this.#giveBack(leases)
      throw error
    }
    for (const lease of stored) this.#keeper.drop(lease)
    const kept = await from.delete(stored, { tally: false })
    this.#moved += stored.length - kept.length
    this.#uncertain += kept.length
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

  /** What can't be given back comes back when its lease ends. */
  async #giveBack(leases: readonly Lease[]): Promise<void> {
    const { from } = this.#plan
    const size = from.capabilities.leaseBatch
    for (const lease of leases) this.#keeper.drop(lease)
    for (let start = 0; start < leases.length; start += size) {
      await from.release(leases.slice(start, start + size), { delaySeconds: 0 })
    }
  }
}
