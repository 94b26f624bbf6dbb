/** A leased pack: which of its tasks are left, which run, and how many ended. Makes no request. */
import { taskIds } from '../backend/task-ids.js'
import { type LeasedTask, packOf, type TaskContent } from '../queue/queued-task.js'
import { packText, type ReadPack } from '../tasks/pack.js'
import { type Range, sizeOf, union } from '../tasks/ranges.js'
import type { BareTask } from '../tasks/task.js'
import { type ExpandedTasks, expand } from './pack-expansion.js'
import { PackedCall, type PackOfCall } from './packed-call.js'

export class HeldPack implements PackOfCall {
  readonly message: LeasedTask
  readonly #pack: ReadPack
  readonly #tasks: ExpandedTasks
  readonly #ids: string
  /** The id of the task at an index. */
  readonly idOf: (index: number) => string
  /** Not handed out yet. */
  #left: Range[]
  /** Handed out at once, in this order; some may have ended. */
  #handedOut: (readonly PackedCall[])[] = []
  /** The number of tasks that were handed out and have not ended. */
  outCount = 0
  /** Removed from those that are left, and not yet known to be in another message. */
  #moving: readonly Range[] = []
  /** Writes to the queue are made one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  /** Tasks that succeeded under this lease. */
  #completed = 0
  /** Tasks that became messages of their own, or of other packs. */
  #gone = 0
  /** No more tasks are handed out. */
  closed = false
  /** Why no more tasks can be made: it fails as a whole once those that run have ended. */
  failure: { readonly thrown: unknown } | undefined
  /** When it was opened, by the caller's clock, in milliseconds. */
  readonly openedMs: number
  /** When its message was last written. */
  writtenMs: number
  /** Its message has tasks that ended or left since it was written. */
  isDirty = false

  /**
   * @param message a leased pack
   * @throws UnregisteredTaskError where its sequence is not registered here
   */
  constructor(message: LeasedTask, nowMs: number) {
    const pack = packOf(message)
    if (pack === undefined) throw new Error(`Expected a pack, got task ${message.id}`)
    this.message = message
    this.#pack = pack
    this.#ids = pack.ids ?? message.id
    this.idOf = taskIds(this.#ids.replaceAll('-', ''))
    this.#tasks = expand(pack)
    this.#left = [...pack.indices]
    this.openedMs = nowMs
    this.writtenMs = nowMs
  }

  /** The number of tasks that were not handed out. */
  get leftCount(): number {
    return sizeOf(this.#left)
  }

  get hasLeft(): boolean {
    return this.#left.length > 0
  }

  /** The tasks that were handed out and have not ended. */
  get out(): PackedCall[] {
    return this.#handedOut.flatMap(calls => calls.filter(({ isOut }) => isOut))
  }

  get isMade(): boolean {
    return this.#tasks.isMade
  }

  get maxTextLength(): number {
    return this.#tasks.maxTextLength
  }

  contentOf(index: number, task: BareTask): TaskContent {
    return this.#tasks.contentOf(index, task)
  }

  /** The number of tasks that ended since it was opened. */
  get endedCount(): number {
    return this.#completed + this.#gone
  }

  /** The number of completed tasks that the removal of the message counts as. */
  get completions(): number {
    return this.#pack.completed + this.#completed
  }

  /** True if no task of it ended or left since it was leased, and none is handed out now. */
  get isUntouched(): boolean {
    return this.endedCount === 0 && this.outCount === 0
  }

  /** True for the task with which it begins, as long as none has ended. */
  isFirst({ index }: PackedCall): boolean {
    return this.endedCount === 0 && index === this.#pack.indices[0]?.start
  }

  /** All tasks have ended or left. */
  get isOver(): boolean {
    return this.outCount === 0 && this.#left.length === 0 && this.#moving.length === 0
  }

  /**
   * Hands out up to `max` tasks that can be made now. Empty: wait with {@link ready}, or none is left.
   *
   * @throws what its sequence throws, also where that ends too soon
   */
  take(max: number): PackedCall[] {
    const taken: PackedCall[] = []
    for (let first = this.#left[0]; first !== undefined && !this.closed && taken.length < max; first = this.#left[0]) {
      const tasks = this.#tasksOf(first, max - taken.length, taken.length > 0)
      let index = first.start
      for (const task of tasks) taken.push(new PackedCall(this, index++, task))
      if (index < first.end) {
        this.#left[0] = { start: index, end: first.end }
        break
      }
      this.#left.shift()
    }
    this.#handOut(taken)
    return taken
  }

  #handOut(calls: readonly PackedCall[]): void {
    if (this.outCount === 0) this.#handedOut = []
    // Tasks end about in the order in which they were handed out.
    while (this.#handedOut[0]?.every(({ isOut }) => !isOut) === true) this.#handedOut.shift()
    if (calls.length > 0) this.#handedOut.push(calls)
    this.outCount += calls.length
  }

  /** @param isLater tasks were taken before: what is thrown now is thrown by the next call again */
  #tasksOf(range: Range, max: number, isLater: boolean): readonly BareTask[] {
    try {
      return this.#tasks.take(range, max)
    } catch (error) {
      if (isLater) return []
      throw error
    }
  }

  /** Resolves when {@link take} may give something. */
  ready(): Promise<void> {
    return this.#tasks.ready()
  }

  /** Takes back tasks that were handed out and will not run. */
  putBack(calls: Iterable<PackedCall>): void {
    const back: Range[] = []
    for (const call of calls) if (this.#end(call)) back.push({ start: call.index, end: call.index + 1 })
    if (back.length > 0) this.#left = union([...this.#left, ...back])
  }

  /** A task ran to its end. True if no other one runs: the pack may be over. */
  complete(call: PackedCall): boolean {
    if (!this.#end(call)) return false
    this.#completed++
    this.isDirty = true
    return this.outCount === 0
  }

  /** A task became a message of its own, or a dead letter. */
  leave(call: PackedCall): void {
    if (!this.#end(call)) return
    this.#gone++
    this.isDirty = true
  }

  #end(call: PackedCall): boolean {
    if (!call.isOut) return false
    call.isOut = false
    this.outCount--
    return true
  }

  /** Removes the tasks that are left but the first `kept`; {@link leftRemoved} or {@link restoreLeft} follows. */
  removeLeft(kept = 0): Range[] {
    const removed: Range[] = []
    const stay: Range[] = []
    let room = kept
    for (const { start, end } of this.#left) {
      const middle = Math.min(end, start + room)
      if (middle > start) stay.push({ start, end: middle })
      if (end > middle) removed.push({ start: middle, end })
      room -= middle - start
    }
    this.#left = stay
    this.#moving = removed
    return removed
  }

  /** The tasks of `removeLeft` are in another message. */
  leftRemoved(): void {
    this.#gone += sizeOf(this.#moving)
    this.#moving = []
    this.isDirty = true
  }

  /** The tasks of `removeLeft` are still in this one only. */
  restoreLeft(): void {
    this.#left = union([...this.#left, ...this.#moving])
    this.#moving = []
  }

  /** The one task of `ranges`, without handing it out. */
  async onlyTask([range]: readonly Range[]): Promise<PackedCall | undefined> {
    if (range === undefined) return undefined
    for (;;) {
      // A sequence may make anything, also `undefined`.
      for (const task of this.#tasks.take(range, 1)) return new PackedCall(this, range.start, task)
      await this.#tasks.ready()
    }
  }

  /** Its tasks in up to `max` parts of about the same size. None of them may be handed out. */
  parts(max: number): Range[][] {
    const size = Math.ceil(this.leftCount / max)
    const parts: Range[][] = []
    while (this.#left.length > 0) {
      const others = this.removeLeft(size)
      parts.push(this.#left)
      this.#left = others
      this.#moving = []
    }
    this.#left = union(parts.flat())
    return parts
  }

  /** The payload of this message without the tasks that ended or left. */
  get remainingText(): string {
    const out = this.out.map(({ index }) => ({ start: index, end: index + 1 }))
    const indices = union([...this.#left, ...this.#moving, ...out])
    return packText(this.#tasks.at(indices), { indices, ids: this.#pack.ids, completed: this.completions })
  }

  /** The payload of another message with some of the tasks. */
  textOf(indices: readonly Range[]): string {
    return packText(this.#tasks.at(indices), { indices, ids: this.#ids })
  }

  /** Runs `write` when earlier writes have ended. */
  inTurn<T>(write: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(write)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}
