/** Periodic work on held packs: idle workers get a part of them, and their messages are written again without what has ended. */
import type { Clock } from '../time/clock.js'
import type { HeldPack } from './held-pack.js'
import type { HeldPacks } from './held-packs.js'
import type { PackLeases } from './pack-leases.js'
import { warnNotWritten } from './pack-writer.js'

/** Time after which a pack of which tasks ended is written again; what ended since is repeated if the worker dies. Milliseconds. */
const checkpointMs = 5_000

/** Time from the opening of a pack to its sharing with idle workers. Milliseconds. */
const shareAfterMs = 1_000

/** A worker keeps as much of a pack as it begins within this time; idle workers may have the rest. Seconds. */
const keptSeconds = 10

export class PackUpkeep {
  readonly #packs: HeldPacks
  readonly #leases: PackLeases
  readonly #threads: number
  readonly #clock: Clock
  readonly #label: string
  #isRunning = false

  constructor(
    packs: HeldPacks,
    leases: PackLeases,
    { threads, clock, label }: { threads: number; clock: Clock; label: string },
  ) {
    this.#packs = packs
    this.#leases = leases
    this.#threads = Math.max(1, threads)
    this.#clock = clock
    this.#label = label
  }

  /** Shares packs with idle workers, and writes messages again without what has ended. Never rejects. */
  async run(): Promise<void> {
    // A slow queue must not get the same writes once more each time.
    if (this.#isRunning) return
    this.#isRunning = true
    const nowMs = this.#clock.nowMs()
    for (const pack of this.#packs) {
      try {
        if (!pack.closed && nowMs - pack.openedMs >= shareAfterMs) await this.#share(pack, nowMs)
        if (pack.isDirty && nowMs - pack.writtenMs >= checkpointMs) {
          await pack.inTurn(() => this.#leases.checkpoint(pack))
        }
      } catch (error) {
        warnNotWritten(this.#label, error)
      }
    }
    this.#isRunning = false
  }

  /** Releases what this worker can't begin soon. */
  async #share(pack: HeldPack, nowMs: number): Promise<void> {
    if (pack.isUntouched) {
      try {
        await this.#leases.releasePack(pack, 0)
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
      await this.#leases.writer.storeRest(pack, ranges, 0)
      await this.#leases.checkpoint(pack)
      this.#leases.endIfOver(pack)
    })
  }
}
