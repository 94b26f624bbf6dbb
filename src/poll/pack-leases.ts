/**
 * The leases of a worker, between the queue and all that runs tasks: it opens leased packs, hands their tasks out one by one, and
 * turns what becomes of a task into a change of its pack's message. Other tasks pass through.
 *
 * - A task that ended well, or left, is no longer in its pack; when none is left, the message is deleted.
 * - A task that failed is stored as a message of its own, with its history, before its pack forgets it.
 * - Tasks that are given back are stored as a smaller pack, before theirs forgets them. A pack of which nothing ran is released.
 * - While tasks of a pack run, its message is written again every few seconds without those that ended, where the queue can do that:
 *   so much is repeated when the worker dies.
 *
 * Whichever step is the last before a death, each task that has not ended is in a message. It may be in two.
 */
import { createHash, randomUUID } from 'node:crypto'
import type { Backend } from '../backend/backend.js'
import { type EarlierAttempts, messageWriter } from '../backend/envelope.js'
import type { Failure, Message } from '../backend/messages.js'
import { packId } from '../backend/pack-ids.js'
import { LeaseLostError, UnregisteredTaskError, UnsupportedOperationError } from '../errors/errors.js'
import { isInstanceOf, toError } from '../errors/thrown.js'
import type { Failed, LeasePlan, Leasing, MessageLeases } from '../queue/leasing.js'
import {
  earlierAttempts,
  envelopeFailures,
  type LeasedTask,
  leasedMessage,
  PackedTask,
  setPackPayload,
  traceparentOf,
} from '../queue/queued-task.js'
import { type Range, sizeOf } from '../tasks/ranges.js'
import type { Clock } from '../time/clock.js'
import { HeldPack } from './held-pack.js'
import { storeTask } from './store-task.js'
import type { TaskLeases } from './worker-parts.js'

/** A pack of which tasks ended is written again so long after it was written. Milliseconds. */
const checkpointMs = 5_000

/** A pack is shared if it was opened so long ago. Milliseconds. */
const shareAfterMs = 1_000

/** A worker keeps as much of a pack as it begins within this time; idle workers may have the rest. Seconds. */
const keptSeconds = 10

/** Parts of a pack whose holder died. More would isolate a task that kills workers sooner, and make more messages of healthy ones. */
const partsOfSplit = 16

/** Callbacks of {@link PackLeases}; none may throw. */
export interface PackCallbacks {
  /** All tasks of a pack have ended: its message is to be deleted. */
  onOver(message: LeasedTask): void
  /** No more of its tasks can be made: the message is to be released with its failure. */
  onFailed(message: LeasedTask, error: unknown): void
  /** The lease of a pack was given back, or it is in other messages: it need not be renewed any more. */
  onReleased(message: LeasedTask): void
  /** The lease of a pack is lost. */
  onLost(message: LeasedTask, error: Error): void
  /** The progress of a pack could not be written; the next write has it. */
  onNotWritten(error: unknown): void
}

type ReleaseOptions = Parameters<Leasing['release']>[2]

export class PackLeases implements TaskLeases {
  readonly #backend: Backend
  readonly #leasing: MessageLeases
  readonly #tally: boolean
  readonly #threads: number
  readonly #clock: Clock
  readonly #callbacks: PackCallbacks
  /** By message. */
  readonly #packs = new Map<LeasedTask, HeldPack>()
  /** Of packs that are over. */
  readonly #completions = new WeakMap<LeasedTask, number>()
  #isMaintaining = false

  constructor(
    backend: Backend,
    leasing: MessageLeases,
    options: { tally: boolean; threads: number; clock: Clock },
    callbacks: PackCallbacks,
  ) {
    this.#backend = backend
    this.#leasing = leasing
    this.#tally = options.tally
    this.#threads = Math.max(1, options.threads)
    this.#clock = options.clock
    this.#callbacks = callbacks
  }

  /** The number of packs that are held. */
  get size(): number {
    return this.#packs.size
  }

  has(message: LeasedTask): boolean {
    return this.#packs.has(message)
  }

  /** The tasks of a pack that were handed out and have not ended. */
  tasksOf(message: LeasedTask): readonly PackedTask[] {
    return [...(this.#packs.get(message)?.out ?? [])]
  }

  lease(backend: Backend, plan: LeasePlan): Promise<LeasedTask[]> {
    return this.#leasing.lease(backend, plan)
  }

  /**
   * Takes over a leased pack: {@link take} hands out its tasks.
   *
   * @throws UnregisteredTaskError where its sequence is not registered here; what rebuilding it throws
   */
  open(message: LeasedTask): void {
    this.#packs.set(message, new HeldPack(message, this.#clock.nowMs()))
  }

  /** True for a pack whose holder died: one of its tasks may be the cause. */
  mustSplit(message: LeasedTask): boolean {
    return message.count > 1 && message.deaths > earlierAttempts(message).deaths
  }

  /**
   * Splits a leased pack into messages of fewer tasks, which have its deaths: after a few deaths each task has a message of its own.
   * Idempotent: the parts have the same ids each time.
   *
   * @throws as {@link open}
   */
  async split(message: LeasedTask): Promise<void> {
    const pack = new HeldPack(message, this.#clock.nowMs())
    const history = { earlier: { attempts: message.attempt - 1, deaths: message.deaths }, failures: message.failures }
    const parts: Message[] = []
    for (const ranges of pack.parts(partsOfSplit)) {
      const count = sizeOf(ranges)
      const made = count === 1 ? await pack.onlyTask(ranges).catch(() => undefined) : undefined
      // One that can't be made, or stored, fails when its part is run: the others must not wait for it.
      const only = made !== undefined && canBeStored(made) ? made : undefined
      const id = only?.id ?? packId(derivedId(message, ranges), count)
      parts.push(this.#messageOf(message, { id, text: only?.payloadText ?? pack.textOf(ranges), ...history }))
    }
    await this.#insert(parts, 0)
    const completionsOf = () => pack.completions
    const options = { tally: this.#tally, completionsOf }
    const error = (await this.#leasing.delete(this.#backend, [message], options)).get(message)
    if (error !== undefined && !(error instanceof LeaseLostError)) throw error
  }

  /** Up to `max` tasks of the packs that are held; waits where a sequence gives the first of them asynchronously. */
  async take(max: number): Promise<PackedTask[]> {
    const taken: PackedTask[] = []
    for (const pack of [...this.#packs.values()]) {
      while (taken.length < max && pack.hasLeft && !pack.closed) {
        try {
          const tasks = pack.take(max - taken.length)
          for (const task of tasks) taken.push(task)
          if (tasks.length > 0) continue
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
  refuse(task: LeasedTask, error: unknown): readonly LeasedTask[] {
    const pack = task instanceof PackedTask ? this.#packs.get(task.packMessage) : undefined
    if (pack === undefined || !(task instanceof PackedTask)) return []
    const isWhole = isInstanceOf(error, UnregisteredTaskError) && pack.isFirst(task)
    if (!isWhole && canBeStored(task)) return []
    // Others may run already.
    const tasks = isWhole ? [...pack.out] : [task]
    pack.putBack(tasks)
    this.#sequenceFailed(pack, error)
    return tasks
  }

  /** A task ran to its end. */
  complete(task: PackedTask): void {
    const pack = this.#packs.get(task.packMessage)
    if (pack === undefined) return
    pack.complete(task)
    this.#endIfOver(pack)
  }

  /** Takes back tasks that were handed out and have not begun: they are handed out again. */
  putBack(tasks: readonly PackedTask[]): void {
    for (const [pack, some] of this.#byPack(tasks)) pack.putBack(some)
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
   * Gives tasks back. One of a pack with `failure` is stored as a message of its own; without, all of its pack that has not begun goes
   * back with it, since the reason holds for the others too.
   */
  async release(backend: Backend, tasks: readonly LeasedTask[], options: ReleaseOptions): Promise<Failed> {
    const { packed, others } = split(tasks)
    const failed = new Map(others.length === 0 ? [] : await this.#leasing.release(backend, others, options))
    const { failure } = options
    if (failure !== undefined) {
      for (const task of packed) await this.#try([task], failed, () => this.#storeAlone(task, { ...options, failure }))
      return failed
    }
    for (const [pack, some] of this.#byPack(packed)) {
      pack.putBack(some)
      await this.#try(some, failed, () => this.#giveBack(pack, options))
    }
    return failed
  }

  /** Removes finished tasks; one of a pack without a completion: it is a dead letter. */
  async delete(
    backend: Backend,
    tasks: readonly LeasedTask[],
    options: { tally: boolean; mayTallyLater?: boolean },
  ): Promise<Failed> {
    const { packed, others } = split(tasks)
    for (const [pack, some] of this.#byPack(packed)) {
      for (const task of some) pack.leave(task)
      this.#endIfOver(pack)
    }
    if (others.length === 0) return new Map()
    const completionsOf = (task: LeasedTask) => this.#completions.get(task) ?? 1
    const hasPacks = others.some(task => task.isPack)
    return this.#leasing.delete(backend, others, hasPacks ? { ...options, completionsOf } : options)
  }

  /** Gives back all that has not begun. */
  async giveBackAll(): Promise<void> {
    const failed = new Map<HeldPack, Error>()
    for (const pack of this.#packs.values()) {
      await this.#try([pack], failed, () => this.#giveBack(pack, { delaySeconds: 0 }))
    }
    const [first] = failed.values()
    if (first !== undefined) throw first
  }

  /** Drops a pack whose lease is lost. */
  lost(message: LeasedTask): void {
    const pack = this.#packs.get(message)
    if (pack === undefined) return
    pack.closed = true
    this.#packs.delete(message)
  }

  /** Shares packs with idle workers, and writes down what has ended. Never rejects. */
  async maintain(): Promise<void> {
    // A slow queue must not get the same writes once more each time.
    if (this.#isMaintaining) return
    this.#isMaintaining = true
    await this.#maintainAll()
    this.#isMaintaining = false
  }

  async #maintainAll(): Promise<void> {
    const nowMs = this.#clock.nowMs()
    for (const pack of [...this.#packs.values()]) {
      try {
        if (!pack.closed && nowMs - pack.openedMs >= shareAfterMs) await this.#share(pack, nowMs)
        if (pack.isDirty && nowMs - pack.writtenMs >= checkpointMs) await pack.inTurn(() => this.#checkpoint(pack))
      } catch (error) {
        this.#callbacks.onNotWritten(error)
      }
    }
  }

  /** Gives back what this worker can't begin soon. */
  async #share(pack: HeldPack, nowMs: number): Promise<void> {
    if (pack.isUntouched) {
      try {
        await this.#giveBack(pack, { delaySeconds: 0 })
      } catch (error) {
        // It is still held, so its tasks have to run here.
        pack.closed = false
        throw error
      }
      return
    }
    const seconds = (nowMs - pack.openedMs) / 1000
    const kept = Math.ceil(((pack.endedCount + this.#threads) / seconds) * keptSeconds)
    if (pack.leftCount <= kept) return
    await pack.inTurn(async () => {
      const ranges = pack.removeLeft(kept)
      if (ranges.length === 0) return
      await this.#storeRest(pack, ranges, 0)
      await this.#checkpoint(pack)
      this.#endIfOver(pack)
    })
  }

  /** Gives back what has not begun: the message itself if nothing of it has, otherwise as another message. */
  #giveBack(pack: HeldPack, { delaySeconds }: Pick<ReleaseOptions, 'delaySeconds'>): Promise<void> {
    pack.closed = true
    return pack.inTurn(async () => {
      const { message } = pack
      if (!this.#packs.has(message)) return
      if (pack.isUntouched) return this.#releaseWhole(pack, delaySeconds)
      const ranges = pack.removeLeft()
      if (ranges.length > 0) {
        try {
          await this.#storeRest(pack, ranges, delaySeconds)
        } catch (error) {
          // A full disk, say: a release needs no room, and repeats what has ended.
          if (pack.out.size === 0) await this.#releaseWhole(pack, delaySeconds)
          throw error
        }
      }
      if (pack.out.size > 0 && ranges.length > 0) await this.#checkpoint(pack)
      this.#endIfOver(pack)
    })
  }

  async #releaseWhole(pack: HeldPack, delaySeconds: number): Promise<void> {
    const { message } = pack
    const error = (await this.#leasing.release(this.#backend, [message], { delaySeconds })).get(message)
    if (error !== undefined && !(error instanceof LeaseLostError)) throw error
    this.#packs.delete(message)
    this.#callbacks.onReleased(message)
  }

  /** Stores tasks that were removed from a pack as another one. */
  async #storeRest(pack: HeldPack, ranges: readonly Range[], delaySeconds: number): Promise<void> {
    const { message } = pack
    const count = sizeOf(ranges)
    const rest = {
      id: packId(randomUUID(), count),
      text: pack.textOf(ranges),
      // This lease is no attempt of theirs.
      earlier: { attempts: message.attempt - 1, deaths: message.deaths },
      failures: message.failures,
    }
    try {
      await this.#insert([this.#messageOf(message, rest)], delaySeconds)
    } catch (error) {
      pack.restoreLeft()
      throw error
    }
    pack.leftRemoved()
  }

  /** A message with tasks of a pack that was leased. */
  #messageOf(
    pack: LeasedTask,
    { id, text, ...history }: { id: string; text: string; earlier: EarlierAttempts; failures: readonly Failure[] },
  ): Message {
    const { queueName, capabilities } = this.#backend
    const write = messageWriter(queueName, { ascii: capabilities.asciiBodies ?? false })
    const failures = history.failures.length === 0 ? undefined : history.failures
    return { id, body: write(text, id, { earlier: history.earlier, failures, traceparent: traceparentOf(pack) }) }
  }

  async #storeAlone(task: PackedTask, { delaySeconds, failure }: ReleaseOptions & { failure: Failure }): Promise<void> {
    const pack = this.#packs.get(task.packMessage)
    if (pack === undefined) {
      throw new LeaseLostError(`The lease of the pack of task ${task.id} in ${this.#backend.label} is over`, {
        id: task.id,
      })
    }
    const failures = [...task.failures, failure]
    const earlier = { attempts: task.attempt, deaths: task.deaths }
    await withDelay(delaySeconds, delay => storeTask(this.#backend, { task, failures, earlier, delaySeconds: delay }))
    pack.leave(task)
    this.#endIfOver(pack)
  }

  async #insert(messages: readonly Message[], delaySeconds: number): Promise<void> {
    const { insertBatch } = this.#backend.capabilities
    for (let start = 0; start < messages.length; start += insertBatch) {
      const batch = messages.slice(start, start + insertBatch)
      const [failure] = await withDelay(delaySeconds, delay => this.#backend.insert(batch, { delaySeconds: delay }))
      if (failure !== undefined) throw failure.error
    }
  }

  /** Writes the message without what has ended. A lost lease is reported; any other error is thrown. */
  async #checkpoint(pack: HeldPack): Promise<void> {
    const { message } = pack
    if (this.#backend.replace === undefined || !this.#packs.has(message) || pack.isOver) return
    const { body } = this.#messageOf(message, {
      id: message.id,
      text: pack.remainingText,
      earlier: earlierAttempts(message),
      failures: envelopeFailures(message),
    })
    pack.isDirty = false
    pack.writtenMs = this.#clock.nowMs()
    try {
      await this.#leasing.replace(this.#backend, message, body)
    } catch (error) {
      pack.isDirty = true
      if (!(error instanceof LeaseLostError)) throw error
      this.#callbacks.onLost(message, error)
    }
  }

  #endIfOver(pack: HeldPack): void {
    const { message, completions, failure } = pack
    if (failure !== undefined && pack.out.size === 0) void this.#fail(pack, failure.thrown)
    else if (pack.isOver && this.#packs.delete(message)) {
      this.#completions.set(message, completions)
      this.#callbacks.onOver(message)
    }
  }

  /** A sequence can't make its next task: the pack fails with what is left of it. */
  #sequenceFailed(pack: HeldPack, thrown: unknown): void {
    pack.closed = true
    pack.failure ??= { thrown }
    this.#endIfOver(pack)
  }

  async #fail(pack: HeldPack, thrown: unknown): Promise<void> {
    const { message } = pack
    await pack.inTurn(async () => {
      if (!this.#packs.has(message)) return
      // Without the record, what has ended is repeated.
      if (pack.isDirty) await this.#checkpoint(pack).catch((error: unknown) => this.#callbacks.onNotWritten(error))
      if (!this.#packs.delete(message)) return
      // As a dead letter it must not bring back what has ended.
      if (pack.endedCount > 0) setPackPayload(message, pack.remainingText)
      this.#callbacks.onFailed(message, thrown)
    })
  }

  #byPack(tasks: readonly PackedTask[]): Map<HeldPack, PackedTask[]> {
    const groups = new Map<HeldPack, PackedTask[]>()
    for (const task of tasks) {
      const pack = this.#packs.get(task.packMessage)
      if (pack === undefined) continue
      const group = groups.get(pack)
      if (group === undefined) groups.set(pack, [task])
      else group.push(task)
    }
    return groups
  }

  async #try<K>(keys: readonly K[], failed: Map<K, Error>, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (cause) {
      for (const key of keys) failed.set(key, toError(cause))
    }
  }
}

/** The same for the same part of the same message. */
function derivedId(message: LeasedTask, ranges: readonly Range[]): string {
  const hex = createHash('sha256')
    .update(`${message.id} ${message.deaths} ${JSON.stringify(ranges)}`)
    .digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  )
}

/** SQS FIFO queues have no delay of a message. */
async function withDelay<T>(delaySeconds: number, store: (delaySeconds: number) => Promise<T>): Promise<T> {
  try {
    return await store(delaySeconds)
  } catch (error) {
    if (delaySeconds === 0 || !(error instanceof UnsupportedOperationError)) throw error
    return store(0)
  }
}

/** False for what a sequence made and JSON can't carry, or that is no task: it can't leave its pack. */
function canBeStored(task: PackedTask): boolean {
  if (!task.isMade) return true
  try {
    return task.payloadText !== ''
  } catch {
    return false
  }
}

function split(tasks: readonly LeasedTask[]): { packed: readonly PackedTask[]; others: readonly LeasedTask[] } {
  const packed: PackedTask[] = []
  const others: LeasedTask[] = []
  for (const task of tasks) {
    if (task instanceof PackedTask) packed.push(task)
    else others.push(task)
  }
  return { packed, others }
}

function failuresOf(tasks: readonly LeasedTask[], errorOf: (task: LeasedTask) => Error | undefined): Failed {
  const failed = new Map<LeasedTask, Error>()
  for (const task of tasks) {
    const error = errorOf(task)
    if (error !== undefined) failed.set(task, error)
  }
  return failed
}
