/** The packs that a worker holds, by their messages. */
import type { LeasedTask } from '../queue/queued-task.js'
import { HeldPack } from './held-pack.js'
import type { PackedCall } from './packed-call.js'

export class HeldPacks implements Iterable<HeldPack> {
  readonly #packs = new Map<LeasedTask, HeldPack>()

  get size(): number {
    return this.#packs.size
  }

  has(message: LeasedTask): boolean {
    return this.#packs.has(message)
  }

  get(message: LeasedTask): HeldPack | undefined {
    return this.#packs.get(message)
  }

  /** The pack of a call; `undefined` once it is held no more. */
  packOf({ pack }: PackedCall): HeldPack | undefined {
    return this.#packs.get(pack.message)
  }

  /**
   * Adds a leased pack.
   *
   * @throws UnregisteredTaskError where its sequence is not registered here; what rebuilding it throws
   */
  open(message: LeasedTask, nowMs: number): void {
    this.#packs.set(message, new HeldPack(message, nowMs))
  }

  /** Removes a pack; false if it was not held. */
  delete(message: LeasedTask): boolean {
    return this.#packs.delete(message)
  }

  /** The packs, also while some are added or removed. */
  [Symbol.iterator](): Iterator<HeldPack> {
    return [...this.#packs.values()][Symbol.iterator]()
  }

  /** Calls by their packs, of those that are held. */
  grouped(calls: readonly PackedCall[]): Map<HeldPack, PackedCall[]> {
    const groups = new Map<HeldPack, PackedCall[]>()
    for (const call of calls) {
      const pack = this.packOf(call)
      if (pack === undefined) continue
      const group = groups.get(pack)
      if (group === undefined) groups.set(pack, [call])
      else group.push(call)
    }
    return groups
  }
}
