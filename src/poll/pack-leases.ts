/**
 * The leases of a worker, between the queue and all that runs tasks: it opens leased packs, hands their tasks out one by one, and
 * turns what becomes of a task into a change of its pack's message. Other tasks pass through.
 *
 * - A task that succeeded, or left, is no longer in its pack; when none is left, the message is deleted.
 * - A task that failed is stored as a message of its own, with its history, before its pack forgets it.
 * - Tasks that are released are stored as a smaller pack, before theirs forgets them. A pack of which nothing ran is released.
 * - While tasks of a pack run, its message is written again every few seconds without those that ended (see `PackUpkeep`).
 *
 * Whichever step is the last before a death, each task that has not ended is in a message. It may be in two.
 */
import type { Backend } from '../backend/backend.js'
import type { Message } from '../backend/messages.js'
import { LeaseLostError, UnregisteredTaskError } from '../errors/errors.js'
import { isInstanceOf, toError } from '../errors/thrown.js'
import type { Failed, LeasePlan, Leasing, MessageLeases } from '../queue/leasing.js'
import { type LeasedTask, setPackPayload } from '../queue/queued-task.js'
import type { Clock } from '../time/clock.js'
import { HeldPack } from './held-pack.js'
import type { HeldPacks } from './held-packs.js'
import { PackWriter, warnNotWritten } from './pack-writer.js'
import { leasedMessage, type PackedCall, separated } from './packed-call.js'
import { storeParts } from './split-pack.js'
import { canBeStored } from './store-task.js'
import type { LeaseEnds, TaskLeases } from './worker-dependencies.js'

type ReleaseOptions = Parameters<Leasing['release']>[2]

export class PackLeases implements TaskLeases {
  readonly #backend: Backend
  readonly #leasing: MessageLeases
  readonly #tally: boolean
  readonly #clock: Clock
  readonly #packs: HeldPacks
  readonly #ends: Pick<LeaseEnds, 'packEnded' | 'failed' | 'lost' | 'settled'>
  readonly writer: PackWriter

  constructor(
    { backend, leasing, tally, clock }: { backend: Backend; leasing: MessageLeases; tally: boolean; clock: Clock },
    packs: HeldPacks,
    ends: Pick<LeaseEnds, 'packEnded' | 'failed' | 'lost' | 'settled'>,
  ) {
    this.#backend = backend
    this.#leasing = leasing
    this.#tally = tally
    this.#clock = clock
    this.#packs = packs
    this.#ends = ends
    this.writer = new PackWriter(backend, leasing)
  }

  lease(backend: Backend, plan: LeasePlan): Promise<LeasedTask[]> {
    return this.#leasing.lease(backend, plan)
  }

  /** Splits a leased pack into messages of fewer tasks. Idempotent. @throws as `HeldPacks.open` */
  async split(message: LeasedTask): Promise<void> {
    const pack = new HeldPack(message, this.#clock.nowMs())
    await storeParts(pack, this.writer)
    const options = { tally: this.#tally, completionsOf: () => pack.completions }
    const error = (await this.#leasing.delete(this.#backend, [message], options)).get(message)
    if (error !== undefined && !(error instanceof LeaseLostError)) throw error
  }

  /** Up to `max` tasks of the packs that are held; waits where a sequence gives the first of them asynchronously. */
  async take(max: number): Promise<PackedCall[]> {
    let taken: PackedCall[] = []
    for (const pack of this.#packs) {
      while (taken.length < max && pack.hasLeft && !pack.closed) {
        try {
          const calls = pack.take(max - taken.length)
          taken = taken.length === 0 ? calls : taken.concat(calls)
          if (calls.length > 0) continue
          if (taken.length > 0) return taken
          await pack.ready()
        } catch (error) {
          this.#sequenceFailed(pack, error)
        }
      }
      if (taken.length >= max) break
    }
    return taken
  }

  /**
   * Refuses a pack of which a task can't run here: it fails as a whole if the task is its first and not registered, since the others
   * hardly are, and each would be stored on its own; or if its sequence made what no message can hold.
   *
   * @returns the tasks that were handed out, and are held no more; none where the task can fail on its own
   */
  refuse(call: PackedCall, error: unknown): readonly PackedCall[] {
    const pack = this.#packs.packOf(call)
    if (pack === undefined) return []
    const isWhole = isInstanceOf(error, UnregisteredTaskError) && pack.isFirst(call)
    if (!isWhole && canBeStored(call)) return []
    // Others may run already.
    const calls = isWhole ? pack.out : [call]
    pack.putBack(calls)
    this.#sequenceFailed(pack, error)
    return calls
  }

  /** A task ran to its end. */
  complete(call: PackedCall): void {
    if (!call.pack.complete(call)) return
    const pack = this.#packs.packOf(call)
    if (pack !== undefined) this.endIfOver(pack)
  }

  /** Takes back tasks that were handed out and have not begun: they are handed out again. */
  putBack(calls: readonly PackedCall[]): void {
    for (const [pack, some] of this.#packs.grouped(calls)) pack.putBack(some)
  }

  async renew(backend: Backend, tasks: readonly LeasedTask[], seconds: number): Promise<Failed> {
    const messages = [...new Set(tasks.map(leasedMessage))]
    const failed = await this.#leasing.renew(backend, messages, seconds)
    return failed.size === 0 ? failed : failuresOf(tasks, task => failed.get(leasedMessage(task)))
  }

  runsAlone(backend: Backend, task: LeasedTask): Promise<void> {
    return this.#leasing.runsAlone(backend, leasedMessage(task))
  }

  /**
   * Releases tasks. One of a pack with `failure` is stored as a message of its own; without, all of its pack that has not begun goes
   * back with it, since the reason holds for the others too.
   */
  async release(backend: Backend, tasks: readonly LeasedTask[], options: ReleaseOptions): Promise<Failed> {
    const { packed, single } = separated(tasks)
    const failed = new Map(single.length === 0 ? [] : await this.#leasing.release(backend, single, options))
    const { failure, delaySeconds } = options
    if (failure !== undefined) {
      for (const call of packed) {
        const error = await errorOf(() => this.#leave(call, () => this.writer.storeAlone(call, failure, delaySeconds)))
        if (error !== undefined) failed.set(call.task, error)
      }
      return failed
    }
    for (const [pack, calls] of this.#packs.grouped(packed)) {
      pack.putBack(calls)
      const error = await errorOf(() => this.releasePack(pack, delaySeconds))
      if (error !== undefined) for (const { task } of calls) failed.set(task, error)
    }
    return failed
  }

  /** Removes finished tasks; one of a pack without a completion: it is a dead letter. */
  async delete(
    backend: Backend,
    tasks: readonly LeasedTask[],
    options: { tally: boolean; mayTallyLater?: boolean },
  ): Promise<Failed> {
    const { packed, single } = separated(tasks)
    for (const [pack, calls] of this.#packs.grouped(packed)) {
      for (const call of calls) pack.leave(call)
      this.endIfOver(pack)
    }
    return single.length === 0 ? new Map() : this.#leasing.delete(backend, single, options)
  }

  /** As `Leasing.moveTo`; false for a task of a pack, whose message has others. */
  async moveTo(backend: Backend, task: LeasedTask, message: Message, other: Backend): Promise<boolean> {
    return leasedMessage(task) === task && this.#leasing.moveTo(backend, task, message, other)
  }

  /** Releases all that has not begun. */
  async releaseWaiting(): Promise<void> {
    const errors: Error[] = []
    for (const pack of this.#packs) {
      const error = await errorOf(() => this.releasePack(pack, 0))
      if (error !== undefined) errors.push(error)
    }
    const [first] = errors
    if (first !== undefined) throw first
  }

  /** Releases what has not begun: the message itself if nothing of it has, otherwise as another message. */
  releasePack(pack: HeldPack, delaySeconds: number): Promise<void> {
    pack.closed = true
    return pack.inTurn(async () => {
      if (!this.#packs.has(pack.message)) return
      if (pack.isUntouched) return this.#releaseWhole(pack, delaySeconds)
      const ranges = pack.removeLeft()
      if (ranges.length > 0) {
        try {
          await this.writer.storeRest(pack, ranges, delaySeconds)
        } catch (error) {
          // A full disk, say: a release needs no room, and repeats what has ended.
          if (pack.outCount === 0) await this.#releaseWhole(pack, delaySeconds)
          throw error
        }
      }
      if (pack.outCount > 0 && ranges.length > 0) await this.checkpoint(pack)
      this.endIfOver(pack)
    })
  }

  /** Writes the message without what has ended. A lost lease is reported; any other error is thrown. */
  async checkpoint(pack: HeldPack): Promise<void> {
    if (!this.#packs.has(pack.message)) return
    try {
      await this.writer.writeRemaining(pack, this.#clock.nowMs())
    } catch (error) {
      if (!(error instanceof LeaseLostError)) throw error
      this.#ends.lost(pack.message, error)
    }
  }

  /** Deletes the message of a pack whose tasks have all ended, or lets it fail where no more can be made. */
  endIfOver(pack: HeldPack): void {
    const { message, failure } = pack
    if (failure !== undefined && pack.outCount === 0) void this.#fail(pack, failure.thrown)
    else if (pack.isOver && this.#packs.delete(message)) this.#ends.packEnded(message, pack.completions)
  }

  /** Drops a pack whose lease is lost. @returns its tasks that have not ended */
  drop(message: LeasedTask): readonly PackedCall[] {
    const pack = this.#packs.get(message)
    if (pack === undefined) return []
    const { out } = pack
    pack.closed = true
    this.#packs.delete(message)
    return out
  }

  async #releaseWhole({ message }: HeldPack, delaySeconds: number): Promise<void> {
    const error = (await this.#leasing.release(this.#backend, [message], { delaySeconds })).get(message)
    if (error !== undefined && !(error instanceof LeaseLostError)) throw error
    this.#packs.delete(message)
    this.#ends.settled(message)
  }

  /** Stores a task elsewhere, then removes it from its pack. */
  async #leave(call: PackedCall, store: () => Promise<void>): Promise<void> {
    const pack = this.#packs.packOf(call)
    if (pack === undefined) {
      const { id } = call.task
      throw new LeaseLostError(`The lease of the pack of task ${id} in ${this.#backend.label} is over`, { id })
    }
    await store()
    pack.leave(call)
    this.endIfOver(pack)
  }

  /** A sequence can't make its next task: the pack fails with what is left of it. */
  #sequenceFailed(pack: HeldPack, thrown: unknown): void {
    pack.closed = true
    pack.failure ??= { thrown }
    this.endIfOver(pack)
  }

  async #fail(pack: HeldPack, thrown: unknown): Promise<void> {
    const { message } = pack
    await pack.inTurn(async () => {
      if (!this.#packs.has(message)) return
      // Without the record, what has ended is repeated.
      if (pack.isDirty) {
        await this.checkpoint(pack).catch((error: unknown) => warnNotWritten(this.#backend.label, error))
      }
      if (!this.#packs.delete(message)) return
      // As a dead letter it must not bring back what has ended.
      if (pack.endedCount > 0) setPackPayload(message, pack.remainingText)
      this.#ends.failed(message, thrown, 0)
    })
  }
}

async function errorOf(work: () => Promise<void>): Promise<Error | undefined> {
  try {
    await work()
    return undefined
  } catch (cause) {
    return toError(cause)
  }
}

function failuresOf(tasks: readonly LeasedTask[], errorFor: (task: LeasedTask) => Error | undefined): Failed {
  const failed = new Map<LeasedTask, Error>()
  for (const task of tasks) {
    const error = errorFor(task)
    if (error !== undefined) failed.set(task, error)
  }
  return failed
}
