/** The leased tasks of a worker that have not ended; their leases are renewed. */

import type { LeaseKeeper } from '../queue/lease-keeper.js'
import type { LeasedTask } from '../queue/queued-task.js'
import type { Call } from '../threads/call.js'
import type { HeldPacks } from './held-packs.js'
import { leasedMessage, PackedCall, PackedTask, taskOf } from './packed-call.js'

/** Why a task was aborted: its lease is lost, or the worker stops and releases it. */
export type AbortCause = 'lease-lost' | 'shutdown'

export class HeldTasks {
  readonly #keeper: LeaseKeeper<LeasedTask>
  readonly #packs: HeldPacks
  /** The tasks with a lease of their own, each with its call once that is made. */
  readonly #calls = new Map<LeasedTask, Call | undefined>()
  readonly #abortCauses = new Map<LeasedTask, AbortCause>()
  /** The number of held tasks of packs. */
  #packed = 0

  constructor(keeper: LeaseKeeper<LeasedTask>, packs: HeldPacks) {
    this.#keeper = keeper
    this.#packs = packs
  }

  get size(): number {
    return this.#calls.size + this.#packed
  }

  /** The number of leases: those of packs are one each. */
  get leases(): number {
    return this.#calls.size + this.#packs.size
  }

  /** A copy, in lease order; those of packs at the end. */
  get all(): LeasedTask[] {
    return [...this.#calls.keys(), ...this.#packedCalls.map(({ task }) => task)]
  }

  has(task: LeasedTask): boolean {
    return task instanceof PackedTask ? task.call.isHeld : this.#calls.has(task)
  }

  /** True if the task of a call is held. */
  hasCall(call: Call): boolean {
    return call instanceof PackedCall ? call.isHeld : this.#calls.has(taskOf(call))
  }

  callOf(task: LeasedTask): Call | undefined {
    return task instanceof PackedTask ? task.call : this.#calls.get(task)
  }

  /** True if a held task may run code of another file than `url`. */
  hasOtherThan(url: string): boolean {
    for (const call of this.#calls.values()) if (call?.code.url !== url) return true
    // One that is not prepared has no code yet.
    return this.#packedCalls.some(({ code }: { code?: Call['code'] }) => code?.url !== url)
  }

  /** Adds tasks that were just leased. */
  add(tasks: readonly LeasedTask[]): void {
    for (const task of tasks) {
      this.#calls.set(task, undefined)
      this.#keeper.keep(task)
    }
  }

  /** Adds tasks that packs handed out. The lease of a pack is kept as long as the pack is held. */
  addPacked(calls: readonly PackedCall[]): void {
    this.#packed += calls.length
  }

  setCall(task: LeasedTask, call: Call): void {
    this.#calls.set(task, call)
  }

  /** Records a renewal by the task itself, to end `seconds` from now; the task may have ended since. */
  renewed(task: LeasedTask, seconds: number): void {
    if (this.has(task)) this.#keeper.keep(leasedMessage(task), seconds)
  }

  /** Marks a task as aborted: its result is discarded. A lost lease is not overwritten. */
  setAbortCause(task: LeasedTask, cause: AbortCause): void {
    if (this.#abortCauses.get(task) !== 'lease-lost') this.#abortCauses.set(task, cause)
  }

  /** True for a task that was aborted since its lease is lost. */
  isLost(task: LeasedTask): boolean {
    return this.#abortCauses.get(task) === 'lease-lost'
  }

  abortCauseOf(call: Call): AbortCause | undefined {
    return this.#abortCauses.size === 0 ? undefined : this.#abortCauses.get(taskOf(call))
  }

  /** Removes a task; its lease is renewed no more. False if it was not held. */
  drop(task: LeasedTask): boolean {
    if (task instanceof PackedTask) return this.dropCall(task.call)
    this.#keeper.drop(task)
    return this.#remove(task)
  }

  /** Removes a task that ran to its end: its lease is renewed until the keeper drops it. False if it was not held. */
  dropEnded(call: Call): boolean {
    return call instanceof PackedCall ? this.dropCall(call) : this.#remove(taskOf(call))
  }

  /** Removes a pack that was opened: from now on its tasks are held, and its lease as long as the pack. */
  dropOpened(pack: LeasedTask): void {
    this.#remove(pack)
  }

  /** Removes a task of a pack. False if it was not held. */
  dropCall(call: PackedCall): boolean {
    if (this.#abortCauses.size > 0) this.#abortCauses.delete(call.task)
    if (!call.isHeld) return false
    call.isHeld = false
    this.#packed--
    return true
  }

  #remove(task: LeasedTask): boolean {
    if (this.#abortCauses.size > 0) this.#abortCauses.delete(task)
    return this.#calls.delete(task)
  }

  get #packedCalls(): PackedCall[] {
    return [...this.#packs].flatMap(({ out }) => out.filter(({ isHeld }) => isHeld))
  }
}
